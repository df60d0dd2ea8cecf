"""Tabs of which a link opens one, and of which only the open one is drawn."""

from collections.abc import Callable, Mapping

import streamlit as st

from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import shown_errors

# What a link names the open tab by.
PARAMETER = "view"


def linked_tabs(page: str, views: Mapping[str, Callable[[], object]]) -> None:
    """A tab for each view, the link's open, else the first.

    Args:
        page: whose; its words call a tab `<page>.view_<view>`.
        views: what a link calls each -> what draws it.
    """
    names = {view: t(f"{page}.view_{view}") for view in views}
    first = next(iter(names.values()))
    key = f"{page}.view"
    linked = st.query_params.get(PARAMETER, "")
    st.session_state[key] = names.get(linked, first)

    def choose() -> None:
        view = {name: view for view, name in names.items()}[st.session_state[key]]
        st.query_params[PARAMETER] = view

    tabs = st.tabs(list(names.values()), key=key, on_change=choose)
    for tab, show in zip(tabs, views.values(), strict=True):
        # What is not open costs nothing.
        if tab.open:
            with tab, shown_errors():
                show()
