"""Inside, below its title: the question, and a tab for each way to look at it."""

import streamlit as st

from tinysae.ui.shell.chosen import chosen
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import shown_errors
from tinysae.ui.why import ask, logit, picture, steer, what_if

# In links, a view is called as it was when Parts was Why.
VIEWS = {
    "picture": picture.show_picture,
    "why": logit.show_why,
    "whatif": what_if.show_whatif,
    "steer": steer.show_steer,
}
_KEY = "why.view"


def show_inside() -> None:
    """The question, then what is asked of it.

    Raises:
        TinysaeError: as `ask`.
    """
    question = ask.ask(chosen("why"))
    if question is None:
        return
    names = {view: t(f"why.view_{view}") for view in VIEWS}
    linked = st.query_params.get("view", "")
    st.session_state[_KEY] = names.get(linked, names["picture"])

    def choose() -> None:
        view = {name: view for view, name in names.items()}[st.session_state[_KEY]]
        st.query_params["view"] = view

    tabs = st.tabs(list(names.values()), key=_KEY, on_change=choose)
    for tab, view in zip(tabs, VIEWS.values(), strict=True):
        # What is not open costs nothing.
        if tab.open:
            with tab, shown_errors():
                view(question)
