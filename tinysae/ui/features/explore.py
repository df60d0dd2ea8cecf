"""The body of the features page: a list, a map or the concepts, and beside it the panel
of the chosen feature; below, everything else about it.

A fragment: another choice runs nothing of the page above.
"""

import streamlit as st

from tinysae.ui.features import linked, overview, rest
from tinysae.ui.features.browse import Listing, asked, show_list, show_panel
from tinysae.ui.features.explored import Explored, go
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import shown_errors

_VIEW = "features.view"
# Beside the panel; the overview takes the whole width.
BESIDE = {
    "list": lambda _explored, _feature: show_list(),
    "map": overview.show_map,
    "concepts": lambda explored, _feature: overview.show_concepts(explored),
}
VIEWS = (*BESIDE, "overview")


@st.fragment
def explore(listing: Listing, explored: Explored) -> None:
    """What the address names of `explored`; `listing` is what the list shows."""
    if listing.asked != asked():
        # A search was begun in here: the list is made above.
        st.rerun()
    with shown_errors(), explored.source.remedy():
        explored.forget_kept()
        view = _chosen_view()
        if view == "overview":
            _choose_view()
            overview.show_overview(explored)
            return
        feature = None
        with shown_errors():
            # A link to a feature that is not there shows the first that is.
            feature = linked.linked_feature(explored.index)
        if feature is None:
            feature = listing.first
        with st.container(key="features_browse"):
            left, right = st.columns([5, 7], gap="medium")
            with left:
                _choose_view()
                BESIDE[view](explored, feature)
            with right:
                show_panel(listing, feature, explored)
        rest.show_rest(feature, explored)


def _chosen_view() -> str:
    linked_view = st.query_params.get("view", "")
    return linked_view if linked_view in VIEWS else VIEWS[0]


def _choose_view() -> None:
    names = {view: t(f"features.view_{view}") for view in VIEWS}
    st.session_state[_VIEW] = _chosen_view()

    def chosen() -> None:
        view = st.session_state[_VIEW]
        go(view=None if view == VIEWS[0] else view)

    one_of(
        t("features.view"),
        names,
        key=_VIEW,
        label_visibility="collapsed",
        on_change=chosen,
    )
