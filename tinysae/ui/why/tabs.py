"""Inside, below its title: the question, and a tab for each way to look at it."""

from functools import partial

from tinysae.ui.parts.linked_tabs import linked_tabs
from tinysae.ui.shell.chosen import chosen
from tinysae.ui.why import ask, logit, picture, steer, what_if

# In links, a view is called as it was when Parts was Why.
VIEWS = {
    "picture": picture.show_picture,
    "why": logit.show_why,
    "whatif": what_if.show_whatif,
    "steer": steer.show_steer,
}


def show_inside() -> None:
    """The question, then what is asked of it.

    Raises:
        TinysaeError: as `ask`.
    """
    question = ask.ask(chosen("why"))
    if question is None:
        return
    linked_tabs("why", {name: partial(show, question) for name, show in VIEWS.items()})
