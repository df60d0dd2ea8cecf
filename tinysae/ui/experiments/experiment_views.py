"""Experiments, below its title: a tab for each way to look at all that was trained."""

from collections.abc import Callable, Mapping

import streamlit as st

from tinysae.ui.experiments import all_runs, face_to_face, frontier, sweeping
from tinysae.ui.shell.chosen import Chosen, chosen
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import shown_errors

# What a link calls a tab -> what is shown there; `experiments.view_<name>` names it.
VIEWS: Mapping[str, Callable[[Chosen], None]] = {
    "frontier": frontier.show_frontier,
    "runs": all_runs.show_all_runs,
    "sweep": sweeping.show_sweeps,
    "face": face_to_face.show_face_to_face,
}
_KEY = "experiments.view"


def show_experiments() -> None:
    """The tabs, of which the open one is drawn."""
    here = chosen("experiments")
    names = {view: t(f"experiments.view_{view}") for view in VIEWS}
    linked = st.query_params.get("view", "")
    st.session_state[_KEY] = names.get(linked, names["frontier"])

    def choose() -> None:
        view = {name: view for view, name in names.items()}[st.session_state[_KEY]]
        st.query_params["view"] = view

    tabs = st.tabs(list(names.values()), key=_KEY, on_change=choose)
    for tab, show in zip(tabs, VIEWS.values(), strict=True):
        # What is not open costs nothing.
        if tab.open:
            with tab, shown_errors():
                show(here)
