"""What `streamlit run app.py` serves, and home: what tinysae is, a feature at work,
what to do next, the model, the runs.

The server imports this file for the one, and runs it as a script for the other.
"""

import streamlit as st

if __name__ != "__main__":
    from tinysae.ui.shell.guard import guards

    app = st.App(__file__, middleware=guards())
else:
    from tinysae.ui.home import front as home
    from tinysae.ui.home.showcase import showcase
    from tinysae.ui.shell.i18n import t
    from tinysae.ui.shell.page import page_setup, plain, shown_errors

    page_setup("home")
    st.title(t("home.title"))
    st.markdown(plain(t("home.lead")))
    showcase()
    home.ways()
    home.lesson()
    st.subheader(t("home.model"), anchor=False)
    model = st.container()
    st.subheader(t("home.runs"), anchor=False)
    with shown_errors():
        home.runs()
    # Last: it waits for the warm-up, and nothing else should wait for it.
    with model, shown_errors():
        home.model()
