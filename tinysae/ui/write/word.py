"""The word that is pointed at: how likely it was, what was likelier, and which features
of the chosen SAE were at work in it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.features.index.search import ActiveFeature, active_features
from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.render.numbers import percent
from tinysae.render.visible import as_word
from tinysae.ui.parts.chips import bar, chips
from tinysae.ui.parts.feature_names import feature_name
from tinysae.ui.parts.token_words import first_words
from tinysae.ui.parts.word_said import word_said
from tinysae.ui.shell.cache import feature_table, loaded_model, loaded_sae
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link, plain, shown_errors
from tinysae.ui.write.heatmap import figures

if TYPE_CHECKING:
    from tinysae.library.feature_source import FeatureSource
    from tinysae.ui.shell.chosen import Chosen
    from tinysae.ui.write.told import Told

N_FEATURES = 8
N_PREFERRED = 4
N_PUSHED = 4
# Browsers and servers take an address of this length, and the page Inside such a text.
MAX_LINKED_CHARACTERS = 1_500
_ROW = '<div class="preferred"><bdi>{}</bdi>{}</div>'


def show_word(here: Chosen, told: Told, position: int) -> None:
    """All that is known of `told`'s token at `position`.

    Raises:
        InputError: the SAE is of another model.
        MissingError, DamagedError: the SAE or its index cannot be read.
    """
    stats, reader = told.stats, told.reader
    texts = reader.token_texts(told.ids)
    token = as_word(texts[position] or reader.token_text(told.ids[position]))
    st.subheader(plain(t("playground.pinned", token=token)), anchor=False)
    with st.container(key="write_word_said"):
        note(said(told, position))
    best = [math.exp(value) for value in stats.top_log_probs[position].tolist()]
    names = [
        as_word(reader.token_text(token_id))
        for token_id in stats.top_ids[position].tolist()
    ]
    pairs = list(zip(names, best, strict=True))
    with st.container(key="write_preferred"):
        st.html(
            "".join(
                _ROW.format(html.escape(name), bar(prob / best[0], percent(prob)))
                for name, prob in pairs[:N_PREFERRED]
            )
            + _less_likely(pairs[N_PREFERRED:])
        )
    with shown_errors():
        _show_features(here, told, position)
    known = figures(reader, stats, position)
    st.html(chips("", [f"{name}: {value}" for name, value in known], small=True))
    before = "".join(texts[:position])
    if before and len(before) <= MAX_LINKED_CHARACTERS:
        target = reader.token_text(told.ids[position])
        page_link("why", t("why.token_link"), text=before, target=target)


def _less_likely(pairs: Sequence[tuple[str, float]]) -> str:
    names = " · ".join(f"{name} {percent(prob)}" for name, prob in pairs)
    said = html.escape(f"{t('playground.then')} {names}")
    return f'<div class="less">{said}</div>'


def said(told: Told, position: int) -> str:
    """How sure the model was, and what it would rather have written."""
    stats = told.stats
    rank = int(stats.rank[position])
    rival = 0 if rank else 1
    return word_said(
        float(stats.prob[position]),
        rank,
        told.reader.token_text(int(stats.top_ids[position][rival])),
        math.exp(float(stats.top_log_probs[position][rival])),
    )


def _show_features(here: Chosen, told: Told, position: int) -> None:
    source = here.source
    st.subheader(t("playground.features"), anchor=False)
    if source is None:
        note(t("common.no_sae"))
        return
    active = _active(here, source, told, position)
    if not active:
        note(t("playground.features_none_active"))
        return
    with source.remedy():
        table = feature_table(source)
    strongest = active[0].activation
    for feature, activation in active[:N_FEATURES]:
        row = table.iloc[feature]
        fires = " · ".join(row["top_tokens"][:8])
        promoted = (token.replace("␣", " ") for token in row["promoted"])
        pushed = " · ".join(first_words(promoted, N_PUSHED))
        with st.container(key=f"write_feature_{feature}", gap=None):
            page_link(
                "features",
                feature_name(source, feature),
                icon=":material/bolt:",
                run=source.id,
                feature=str(feature),
            )
            st.html(_pushes(fires, pushed, feature, activation, strongest))


def _pushes(
    fires: str, pushed: str, feature: int, activation: float, strongest: float
) -> str:
    title = html.escape(f"{t('playground.feature_fires')}: {fires}")
    label = html.escape(f"{t('playground.feature_promotes')}: {pushed}")
    share = f"{activation / strongest:.0%}"
    return (
        f'<div class="pushes" title="{title}"><i style="--share:{share}"></i>'
        f'<span title="{label}">→ {html.escape(pushed)}</span>'
        f"<small>{activation:.2f} · {feature}</small></div>"
    )


def _active(
    here: Chosen, source: FeatureSource, told: Told, position: int
) -> Sequence[ActiveFeature]:
    if told.features is not None and source.id == STORYBOOK_SAE:
        return told.features[position]
    with source.remedy():
        sae = loaded_sae(source)
    return active_features(sae, loaded_model(here.model), told.ids, position)
