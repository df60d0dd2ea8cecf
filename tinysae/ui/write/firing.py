"""The features of an SAE that are active at one token of the playground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.render.visible import visible
from tinysae.ui.parts.chips import bar, chips
from tinysae.ui.shell.cache import feature_table, loaded_sae
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link

if TYPE_CHECKING:
    from tinysae.library.feature_source import FeatureSource
    from tinysae.model.sources import LoadedModel

N_FEATURES = 8
# In pixels.
LINK_WIDTH = 132


def show_features(model: LoadedModel, ids: list[int], position: int | None) -> None:
    """The features of an SAE that are active at `ids[position]`, each with a link.

    Raises:
        InputError: the SAE is of another model.
        MissingError, DamagedError: the SAE or its index cannot be read.
    """
    st.subheader(t("playground.features"))
    if position is None:
        note(t("playground.features_none_chosen"))
        return
    from tinysae.features.index.search import active_features

    source = _feature_source()
    with source.remedy():
        sae, table = loaded_sae(source), feature_table(source)
    active = active_features(sae, model, ids, position)
    if not active:
        note(t("playground.features_none_active"))
        return
    note(
        t(
            "playground.features_count",
            n=f"{len(active):,}",
            total=f"{len(table):,}",
            token=visible(model.token_texts(ids)[position]),
        )
    )
    strongest = active[0].activation
    for feature, activation in active[:N_FEATURES]:
        row = table.iloc[feature]
        with st.container(gap="xxsmall"):
            with st.container(horizontal=True, vertical_alignment="center", wrap=False):
                # As wide for all, so that the bars begin on one line.
                with st.container(width=LINK_WIDTH):
                    page_link(
                        "features",
                        t("playground.feature_link", feature=feature),
                        run=source.id,
                        feature=str(feature),
                    )
                st.html(bar(activation / strongest, f"{activation:.2f}"))
            st.html(
                chips(t("playground.feature_fires"), row["top_tokens"])
                + chips(t("playground.feature_promotes"), row["promoted"])
            )


def _feature_source() -> FeatureSource:
    """Whose features to look for: the embedded SAE's, or those chosen instead."""
    from tinysae.library.feature_source import feature_sources
    from tinysae.ui.parts.sae_names import source_label

    ready = [source for source in feature_sources() if source.readiness == "ready"]
    # Those of the embedded model first: it is what the playground talks to.
    ready.sort(key=lambda source: not source.is_embedded)
    sources = {source.id: source for source in ready}
    labels = {source.id: source_label(source) for source in ready}
    chosen = st.selectbox(
        t("playground.features_source"),
        list(sources),
        format_func=labels.__getitem__,
        key="_features_source",
    )
    return sources[chosen]
