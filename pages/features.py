"""Features: what an SAE found in the model, one feature at a time."""

import numpy as np
import streamlit as st

from tinysae.features.sources import FeatureSource
from tinysae.ui import cache, features, one_feature
from tinysae.ui.i18n import t
from tinysae.ui.page import page_setup, plain, shown_errors


def main() -> None:
    page_setup("features")
    st.title(t("features.title"))
    st.markdown(plain(t("features.lead")))
    with shown_errors():
        source = features.choose_source()
        if source.readiness == "ready":
            with source.remedy():
                show_source(source)
        else:
            features.show_why_not(source)


def show_source(source: FeatureSource) -> None:
    index, table = cache.feature_index(source), cache.feature_table(source)
    live = np.flatnonzero(table["n_fired"]).tolist()
    feature = None
    with shown_errors():
        # A link to a feature that is not there shows all those that are.
        feature = features.linked_feature(index)
    features.show_steps(feature, index, live)
    if feature is None:
        features.show_summary(index, live)
        features.show_table(table)
        features.show_side_by_side(index, live)
    else:
        record = index.feature(feature)
        one_feature.show_figures(record, index)
        if not record.is_dead:
            one_feature.show_firing(record)
        one_feature.show_logits(record)
        if not record.is_dead:
            one_feature.show_contexts(record)
    one_feature.show_about(index)


main()
