"""Home's picture: a story that the model writes, and what is at work in a word of it.

It came with tinysae (`library.shipped_stories`), so that it is there before the model.
"""

import math

import streamlit as st

from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.library.shipped_stories import ShippedStories, ShippedStory
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import as_word
from tinysae.ui.parts.chips import chips
from tinysae.ui.parts.token_words import token_words
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.parts.word_said import word_said
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link, plain, shown_errors

# Which of the stories, and which word in it is pointed at.
_STORY, _WORD = "home.story", "home.word"
N_FEATURES = 3
# As high as the longest story and the fullest word, in pixels.
PICTURE_PX = 290
# Of 1 chance in 1,024.
MOST_BITS = 10.0


@st.fragment
def story() -> None:
    """The story, token by token; beside it a word of it, what the model thought there,
    and where that leads."""
    with shown_errors():
        stories = cache.stories()
        which = st.session_state.get(_STORY, 0) % len(stories.stories)
        shown = stories.stories[which]
        at = st.session_state.get(_WORD)
        if at is None or not 0 <= at < len(shown.ids):
            at = shown.begin_at
        with st.container(key="home_picture", border=True):
            left, right = st.columns([3, 2], gap="medium")
            with left.container(height=PICTURE_PX, border=False, key="home_story"):
                _show_story(shown, stories.n_given, which, at)
            with right.container(
                height=PICTURE_PX, border=False, key="home_word", gap="xsmall"
            ):
                _show_word(stories, shown, at)


def _show_story(shown: ShippedStory, n_given: int, which: int, at: int) -> None:
    token_strip(
        story_tokens(shown),
        key=f"home_story_{which}",
        scale="sequential",
        low=0.0,
        high=MOST_BITS,
        ends=(t("playground.low_surprise"), t("playground.high_surprise")),
        legend=t("home.story_legend"),
        n_given=n_given,
        replay=True,
        on_select=_point,
        selected=at,
    )
    st.button(t("home.story_another"), icon=":material/refresh:", on_click=_another)


def story_tokens(shown: ShippedStory) -> list[StripToken]:
    """The story's tokens, coloured by how much each surprised the model."""
    label, surprise = t("playground.prob"), t("playground.surprise")
    bits = [-log_prob / math.log(2) for log_prob in shown.log_prob]
    return [
        StripToken(
            text,
            value,
            ((label, percent(math.exp(log_prob))), (surprise, signed(value))),
        )
        for text, log_prob, value in zip(shown.texts, shown.log_prob, bits, strict=True)
    ]


def _point(at: int) -> None:
    st.session_state[_WORD] = at


def _another() -> None:
    st.session_state[_STORY] = st.session_state.get(_STORY, 0) + 1
    st.session_state.pop(_WORD, None)


def _show_word(stories: ShippedStories, shown: ShippedStory, at: int) -> None:
    word = as_word(shown.texts[at])
    st.subheader(plain(t("home.word", token=word)), anchor=False)
    rank = shown.rank[at]
    odds = shown.top_log_probs[at][0 if rank else 1]
    prob = shown.log_prob[at]
    note(word_said(math.exp(prob), rank, shown.rivals[at], math.exp(odds)))
    # The names are read from the index, which takes numpy: the story is there by now.
    from tinysae.library.feature_source import embedded_source
    from tinysae.ui.parts.feature_names import feature_name

    note(t("home.word_features"))
    source = embedded_source()
    for number, _ in shown.features[at][:N_FEATURES]:
        feature = int(number)
        with st.container(key=f"home_feature_{feature}", gap=None):
            page_link(
                "features",
                feature_name(source, feature),
                icon=":material/bolt:",
                run=STORYBOOK_SAE,
                feature=str(feature),
            )
            pushed = token_words(stories.promoted[str(feature)])
            st.html(chips("→", pushed, small=True))
