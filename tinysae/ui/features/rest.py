"""Everything else about the chosen feature, below its panel: one part at a time."""

import streamlit as st

from tinysae.ui.features import contexts, kept, one_feature
from tinysae.ui.features.explored import Explored
from tinysae.ui.parts.feature_names import feature_name
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain

_PART = "features.part"


def show_rest(feature: int, explored: Explored) -> None:
    """The parts there are of `feature`, the chosen one open.

    Raises:
        DamagedError: the index cannot be read.
    """
    record = explored.index.feature(feature)
    parts = {
        "own_text": lambda: contexts.show_own_text(record, explored),
        "related": lambda: one_feature.show_related(record, explored),
        "contexts": lambda: contexts.show_contexts(record, explored),
        "figures": lambda: one_feature.show_figures(record, explored),
        "kept": lambda: kept.show_kept_of(feature, explored),
    }
    if record.is_dead:
        del parts["own_text"], parts["contexts"]
    if not explored.is_final:
        del parts["kept"]
    names = {part: t(f"features.part_{part}") for part in parts}
    with st.container(key="features_rest"):
        name = plain(feature_name(explored.source, feature))
        st.markdown(f"**{t('features.more_about')}** {name} :small[#{feature}]")
        part = one_of(
            t("features.more_about"),
            names,
            next(iter(names)),
            key=_PART,
            label_visibility="collapsed",
            persist_state="page",
        )
        parts[part]()
