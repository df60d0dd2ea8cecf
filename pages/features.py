"""Features: what an SAE found in the model, one feature at a time."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tinysae.library.feature_source import FeatureSource
from tinysae.library.saved import saved_sae
from tinysae.ui.features import collect, linked, live, open_sae, overview, search_box
from tinysae.ui.features.explore import explore
from tinysae.ui.features.explored import Explored
from tinysae.ui.shell.page import more, page_setup, shown_errors
from tinysae.ui.train import share


def main() -> None:
    page_setup("features")
    from tinysae.ui.shell.chosen import chosen

    source = chosen("features").source
    with st.container(key="features_search", horizontal=True):
        search = st.container(horizontal=True, vertical_alignment="center")
        # Of another SAE it is another one: what was opened does not lie under it.
        with more(f"features_more_{source.id if source else ''}"):
            open_sae.show_opener()
    open_sae.show_fetching()
    with shown_errors():
        if source is not None:
            show_source(source, search)
    if source is not None and source.is_saved:
        with shown_errors():
            share.show_share(saved_sae(source.id))


def show_source(source: FeatureSource, search: DeltaGenerator) -> None:
    """Its features, else why there are none yet."""
    if source.is_open:
        with source.remedy():
            show_index(source, search)
    elif source.is_saved:
        collect.show_indexing(source)
    elif source.readiness == "working":
        live.show_waiting(source)
    else:
        linked.show_why_not(source)


def show_index(source: FeatureSource, search: DeltaGenerator) -> None:
    """Search, list, panel, and below what belongs to all of its features."""
    live.show_bar(source)
    explored = Explored.open(source)
    explore(search_box.show_search(explored, search), explored)
    overview.show_about(explored)


main()
