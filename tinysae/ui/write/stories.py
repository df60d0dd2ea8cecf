"""The stories: each a card whose coloured tokens are the text, and beside them the word
that is pointed at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from tinysae.model.text.generate import Writing, settings_of_samples
from tinysae.render.numbers import signed
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, shown_errors
from tinysae.ui.write.drawings import Drawing, show_drawing
from tinysae.ui.write.heatmap import SCALES, heatmap_tokens
from tinysae.ui.write.told import Told, read_by
from tinysae.ui.write.word import show_word

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.prompt import Prompt
    from tinysae.model.text.state import Colour, State
    from tinysae.ui.shell.chosen import Chosen

SAMPLES = "playground.samples"
# Which word is pointed at: a card's name and a position in it.
WORD = "playground.word"
# What was typed and is in no story yet has a card of its own.
TYPED = "typed"
# As often as the stories are drawn while they are written, in seconds: the model is
# faster than anybody reads.
DRAW_EVERY_S = 0.1
WORD_PX = 520


class Card(NamedTuple):
    """A text to look at, by the name that says which."""

    name: str
    told: Told


def begin(model: LoadedModel, prompt: Prompt, state: State) -> list[Writing]:
    """New stories instead of those that are there."""
    samples = [
        Writing(model, prompt, settings)
        for settings in settings_of_samples(state.settings, state.n_samples)
    ]
    st.session_state[SAMPLES] = samples
    st.session_state.pop(WORD, None)
    return samples


def forget() -> None:
    """What another model wrote is not this one's."""
    for key in (SAMPLES, WORD):
        st.session_state.pop(key, None)


def are_of(samples: Sequence[Writing], prompt: Prompt, state: State) -> bool:
    """Whether `samples` are what `state` writes, and not what an earlier one did."""
    return (
        bool(samples)
        and samples[0].prompt.ids == prompt.ids
        and [sample.settings for sample in samples]
        == settings_of_samples(state.settings, state.n_samples)
    )


def stop(samples: Sequence[Writing]) -> None:
    """End them all where they are."""
    for sample in samples:
        sample.stop()


def is_writing(samples: Sequence[Writing]) -> bool:
    """Whether one of them goes on."""
    return any(sample.reason is None for sample in samples)


def cards_of(
    model: LoadedModel, prompt: Prompt, samples: Sequence[Writing]
) -> list[Card]:
    """What was written; before it what was typed, unless the stories begin with it."""
    told = [
        read_by(
            model,
            [*sample.prompt.ids, *sample.ids],
            len(sample.prompt.ids),
            sample.reason,
        )
        for sample in samples
        if sample.prompt.ids or sample.ids
    ]
    cards = [Card(str(place), each) for place, each in enumerate(told)]
    if prompt.ids and not (samples and samples[0].prompt.ids == prompt.ids):
        cards.insert(0, Card(TYPED, read_by(model, prompt.ids, 0)))
    return cards


def names_of(cards: Sequence[Card]) -> list[tuple[str, list[int]]]:
    """What the cards are called where one of them is chosen, and their tokens; the
    prompt alone is one, too."""
    if not cards:
        return []
    first = cards[0].told
    prompt = first.ids if cards[0].name == TYPED else first.ids[: first.n_given]
    texts = [(t("playground.prompt"), prompt)] if prompt else []
    for name, told in cards:
        if name != TYPED:
            texts.append((t("playground.sample", n=int(name) + 1), told.ids))
    return texts


def show_writing(model: LoadedModel, samples: Sequence[Writing], state: State) -> None:
    """The stories while they are written, a token each in turn, until all end; then one
    whole rerun."""
    st.fragment(_write, run_every=DRAW_EVERY_S)(model, samples, state)


def _write(model: LoadedModel, samples: Sequence[Writing], state: State) -> None:
    with shown_errors():
        enough = time.monotonic() + DRAW_EVERY_S
        # A sum: each takes its step, whether or not one before it has ended.
        while sum(sample.step() for sample in samples) and time.monotonic() < enough:
            pass
        if not is_writing(samples):
            st.rerun()
        left, right = _columns()
        with left:
            for place, sample in enumerate(samples):
                with st.container(border=True, key=f"write_story_{place}"):
                    _show_unfinished(model, sample, place, state.colour)
        with right:
            note(t("playground.word_later"))


def _show_unfinished(
    model: LoadedModel, sample: Writing, place: int, colour: Colour
) -> None:
    given = model.token_texts(sample.prompt.ids)
    written = model.token_texts(sample.ids, sample.prompt.ids)
    # Rank and entropy are known when the story is read as a whole.
    low, high, _ = SCALES["log_prob"]
    shades = sample.log_probs if colour in ("log_prob", "prob", "surprise") else []
    tokens = [StripToken(piece, None, []) for piece in given]
    for at, piece in enumerate(written):
        value = shades[at] if at < len(shades) else None
        tokens.append(StripToken(piece, value, []))
    token_strip(
        tokens,
        key=f"playground_story_{place}",
        scale="sequential",
        low=low,
        high=high,
        legend=None,
        label=t("playground.story", n=place + 1),
        n_given=len(given),
        n_to_come=sample.settings.max_new_tokens - len(sample.ids),
    )
    note(t("playground.writing", n=len(sample.ids)))


@st.fragment
def show_stories(
    here: Chosen,
    cards: Sequence[Card],
    colour: Colour,
    drawing: Drawing,
    spaces: bool,
    model: LoadedModel | None,
    is_first_visit: bool,
) -> None:
    """The cards, and what is known of the word that is pointed at.

    Pointing at another runs only this again, and not the rest of the page.
    """
    left, right = _columns()
    with left, shown_errors():
        if drawing != "strip" and model is not None:
            show_drawing(drawing, model, names_of(cards))
        else:
            pointed = _pointed(cards)
            for card in cards:
                position = pointed[1] if pointed and pointed[0] == card.name else None
                _show_card(card, colour, spaces, position, is_first_visit)
    with right, shown_errors():
        pointed = _pointed(cards)
        if pointed is None:
            note(t("playground.word_none"))
            return
        if WORD in st.session_state:
            with st.container(key="write_word_close"):
                st.button(t("playground.close"), on_click=_let_go, type="tertiary")
        name, position = pointed
        told = next(card.told for card in cards if card.name == name)
        show_word(here, told, position)


def _columns() -> tuple[st.delta_generator.DeltaGenerator, ...]:
    left, right = st.columns([3, 2], gap="medium")
    # On a phone, what was tapped opens at the foot of the window.
    key = "write_word_tapped" if WORD in st.session_state else "write_word"
    return left, right.container(height=WORD_PX, border=True, key=key, gap="xsmall")


def _let_go() -> None:
    st.session_state.pop(WORD, None)


def _pointed(cards: Sequence[Card]) -> tuple[str, int] | None:
    """The word that is pointed at; where nobody has, the first story's own."""
    name, position = st.session_state.get(WORD, ("", 0))
    for card in cards:
        if card.name == name and position < len(card.told.stats):
            return name, position
    return (cards[0].name, cards[0].told.begin_at) if cards else None


def _show_card(
    card: Card, colour: Colour, spaces: bool, position: int | None, replay: bool
) -> None:
    name, told = card
    scale = SCALES[colour]
    n_highlighted = told.n_given if told.ended else -1
    legend = t(f"playground.legend_{colour}")

    def point(at: int) -> None:
        st.session_state[WORD] = (name, at)

    with st.container(border=True, key=f"write_story_{name}", gap="xxsmall"):
        is_typed = name == TYPED
        title = (
            t("playground.typed_card")
            if is_typed
            else t("playground.story", n=int(name) + 1)
        )
        if is_typed:
            note(title)
        token_strip(
            heatmap_tokens(told.reader, told.stats, n_highlighted, colour),
            key=f"playground_story_{name}",
            scale="sequential",
            low=scale.low,
            high=scale.high,
            legend=None,
            label=f"{title}: {legend}",
            spaces=spaces,
            n_given=told.n_given,
            replay=replay,
            on_select=point,
            selected=position,
        )
        with st.container(key=f"write_figures_{name}"):
            note(_figures(told))


def _figures(told: Told) -> str:
    n_ctx_left = len(told.stats)
    ended = (
        t(
            f"playground.ended_{told.ended}",
            n=len(told.stats) - told.n_given,
            limit=n_ctx_left,
        )
        if told.ended
        else ""
    )
    figures = t(
        "playground.figures",
        n=f"{len(told.stats):,}",
        loss=signed(told.stats.mean_loss, 3),
        perplexity=f"{told.stats.perplexity:,.2f}",
    )
    return f"{ended} {figures}".strip()
