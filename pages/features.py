"""Features: what an SAE found in the model, one feature at a time."""

import streamlit as st

from tinysae.library.feature_source import FeatureSource
from tinysae.library.saved import saved_sae
from tinysae.ui.features import (
    collect,
    contexts,
    kept,
    live,
    one_feature,
    open_sae,
    overview,
    search_box,
)
from tinysae.ui.features import heading as features
from tinysae.ui.features.explored import Explored
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import page_setup, plain, shown_errors
from tinysae.ui.train import share


def main() -> None:
    page_setup("features")
    st.title(t("features.title"))
    st.markdown(plain(t("features.lead")))
    source = None
    with shown_errors():
        source = features.choose_source()
    # Beside the choice it belongs to; not above the one feature that is looked at.
    if "feature" not in st.query_params:
        open_sae.show_opener()
    with shown_errors():
        if source is not None:
            show_source(source)
    if source is not None and source.is_saved:
        with shown_errors():
            share.show_share(saved_sae(source.id))


def show_source(source: FeatureSource) -> None:
    """Its features, else why there are none yet."""
    if source.is_open:
        with source.remedy():
            show_index(source)
    elif source.is_saved:
        collect.show_indexing(source)
    elif source.readiness == "working":
        live.show_waiting(source)
    else:
        features.show_why_not(source)


def show_index(source: FeatureSource) -> None:
    live.show_bar(source)
    explored = Explored.open(source)
    feature = None
    with shown_errors():
        # A link to a feature that is not there shows all those that are.
        feature = features.linked_feature(explored.index)
    if feature is None:
        show_all(explored)
    else:
        show_feature(feature, explored)
    overview.show_about(explored)


def show_all(explored: Explored) -> None:
    by, query = search_box.show_search(explored)
    if query:
        with shown_errors():
            search_box.show_found(explored, by, query)
        return
    features.show_steps(None, explored)
    overview.show_summary(explored)
    overview.show_table(explored)
    overview.show_pictures(explored)
    overview.show_concepts(explored)
    overview.show_side_by_side(explored)
    if explored.is_final:
        kept.show_kept(explored)


def show_feature(feature: int, explored: Explored) -> None:
    features.show_steps(feature, explored)
    record = explored.index.feature(feature)
    one_feature.show_head(record, explored)
    if explored.is_final:
        kept.show_kept_of(feature, explored)
    if not record.is_dead:
        one_feature.show_firing(record)
    one_feature.show_pushes(record)
    if not record.is_dead:
        contexts.show_contexts(record, explored)
        contexts.show_own_text(record, explored)
    one_feature.show_related(record, explored)


main()
