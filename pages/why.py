"""Why: what made the model say it, what if that were off, and steering."""

import streamlit as st

from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import page_setup, plain, shown_errors
from tinysae.ui.why import ask, logit, steer, what_if

VIEWS = {
    "why": logit.show_why,
    "whatif": what_if.show_whatif,
    "steer": steer.show_steer,
}


def main() -> None:
    page_setup("why")
    st.title(t("why.title"))
    st.markdown(plain(t("why.lead")))
    with shown_errors():
        question = ask.ask()
        if question is not None:
            view = choose_view()
            with shown_errors():
                VIEWS[view](question)


def choose_view() -> str:
    """The link's view, else the first; a choice goes into the address."""
    linked = st.query_params.get("view", "why")
    st.session_state["why.view"] = linked if linked in VIEWS else "why"

    def choose() -> None:
        st.query_params["view"] = st.session_state["why.view"]

    names = {view: t(f"why.view_{view}") for view in VIEWS}
    view = st.segmented_control(
        t("why.view"),
        names,
        format_func=names.__getitem__,
        required=True,
        key="why.view",
        on_change=choose,
        label_visibility="collapsed",
    )
    return view if view in VIEWS else "why"


main()
