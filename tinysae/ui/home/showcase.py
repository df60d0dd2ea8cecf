"""Home's feature: a story with one feature of the embedded SAE at work on it."""

import math

import streamlit as st

from tinysae.features.names.showcase import Showcase, read_showcases
from tinysae.library.shipped import (
    STORYBOOK_FEATURES_DIR,
    STORYBOOK_SAE,
    embedded_remedy,
)
from tinysae.render.numbers import percent
from tinysae.render.visible import as_word
from tinysae.ui.parts.chips import chips
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import page_link, shown_errors

_SHOWN = "home.shown"


@st.fragment
def showcase() -> None:
    """The story, what the feature fires on and promotes, and ways on from there.

    Nothing at all where no feature was worth showing.
    """
    with shown_errors():
        with embedded_remedy():
            features = read_showcases(STORYBOOK_FEATURES_DIR)
        if features:
            _box(features[st.session_state.get(_SHOWN, 0) % len(features)])


def _box(shown: Showcase) -> None:
    with st.container(border=True):
        story, facts = st.columns([4, 3])
        with story:
            st.subheader(t("home.showcase"), anchor=False)
            token_strip(
                strip_tokens(shown),
                key="home.showcase",
                scale="sequential",
                low=0.0,
                high=round(shown.max_act, 1),
                legend=t("home.showcase_legend", feature=shown.feature),
            )
        with facts:
            st.html(
                chips(t("home.showcase_fires"), _words(shown.fires_on), above=True)
                + '<div style="height:.5rem"></div>'
                + chips(t("home.showcase_promotes"), _words(shown.promotes), above=True)
            )
            said = [t("home.showcase_density", share=percent(shown.density))]
            if shown.lost is not None:
                lost = percent(1 - math.exp(-shown.lost))
                said.append(t("home.showcase_lost", share=lost))
            st.markdown(f":small[{' '.join(said)}]")
            with st.container(horizontal=True, vertical_alignment="center"):
                page_link(
                    "features",
                    t("home.showcase_link", feature=shown.feature),
                    run=STORYBOOK_SAE,
                    feature=str(shown.feature),
                )
                st.button(
                    t("home.showcase_another"),
                    icon=":material/refresh:",
                    on_click=_another,
                )


def _another() -> None:
    st.session_state[_SHOWN] = st.session_state.get(_SHOWN, 0) + 1


def strip_tokens(shown: Showcase) -> list[StripToken]:
    """The story's tokens, coloured where the feature fires."""
    label = t("features.activation")
    return [
        StripToken(text, value if value > 0 else None, ((label, f"{value:.2f}"),))
        for text, value in zip(shown.texts, shown.activations, strict=True)
    ]


def _words(tokens: list[str]) -> list[str]:
    # With and without a space or a capital letter, a word is one to a newcomer.
    words: dict[str, str] = {}
    for token in tokens:
        word = as_word(token)
        words.setdefault(word.lower(), word)
    return list(words.values())
