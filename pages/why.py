"""Inside: the machine that makes one next word, its parts, what if, and steering."""

from tinysae.ui.shell.page import page_setup, shown_errors

page_setup("why")
with shown_errors():
    # The title waits for nothing of this.
    from tinysae.ui.why.tabs import show_inside

    show_inside()
