"""What `streamlit run app.py` serves, and home: a story being written, what is at work
in a word of it, and ways on; a feature at work, the runs, the model.

The server imports this file for the one, and runs it as a script for the other.
"""

import streamlit as st

# Here for the server, too: the first visit would have to wait for it.
from tinysae.ui.shell.page import page_setup, shown_errors

if __name__ != "__main__":
    from tinysae.ui.shell.guard import middleware

    app = st.App(__file__, middleware=middleware())
else:
    page_setup("home")

    # After the title, which waits for no library.
    from tinysae.ui.home import front as home
    from tinysae.ui.home.showcase import showcase
    from tinysae.ui.home.story import story
    from tinysae.ui.shell.i18n import t

    home.lesson()
    story()
    home.ways()
    st.subheader(t("home.runs"), anchor=False)
    with shown_errors():
        home.runs()
    showcase()
    st.subheader(t("home.model"), anchor=False)
    home.model()
    with shown_errors():
        # Last: it imports numpy, and the picture waits for nothing.
        from tinysae.ui.shell.chosen import chosen

        chosen("home")
