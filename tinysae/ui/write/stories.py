"""The stories: each a card whose coloured tokens are the text, and beside them the word
that is pointed at."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from tinysae.model.text.generate import Writing, settings_of_samples
from tinysae.render.numbers import signed
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.cache import shared
from tinysae.ui.shell.i18n import language, t
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
    from tinysae.words import Language

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


@dataclass(frozen=True)
class Shown:
    """What is shown, and how.

    Attributes:
        cards: none while stories are written.
        model: the page's; None where the cards came with tinysae and it is not there.
        colour: what colours the tokens.
        drawing: what draws them.
        spaces: whether spaces are marked.
        is_first_visit: the stories appear word by word, as if they were written now.
    """

    cards: Sequence[Card]
    model: LoadedModel | None
    colour: Colour
    drawing: Drawing
    spaces: bool
    is_first_visit: bool


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


def show_stories(here: Chosen, shown: Shown, samples: Sequence[Writing]) -> None:
    """The stories, and what is known of the word that is pointed at.

    Pointing at another runs only this again, and not the rest of the page. While
    `samples` are written it runs by itself, until all end; then the whole page does.
    """
    pace = DRAW_EVERY_S if is_writing(samples) else None
    # Its place keeps its height while one drawing gives way to the next.
    with st.container(key="write_stories"):
        st.fragment(_stories, run_every=pace)(here, shown, samples)


def _stories(here: Chosen, shown: Shown, samples: Sequence[Writing]) -> None:
    was_writing = not shown.cards and bool(samples)
    if was_writing:
        _write_on(samples)
        if not is_writing(samples):
            st.rerun()
    pointed = _pointed(shown.cards)
    left, right = st.columns([3, 2], gap="medium")
    with left, shown_errors():
        if was_writing and shown.model is not None:
            for place, sample in enumerate(samples):
                _show_unfinished(shown.model, sample, place, shown.colour)
        elif shown.drawing != "strip" and shown.model is not None:
            show_drawing(shown.drawing, shown.model, names_of(shown.cards))
        else:
            for card in shown.cards:
                is_here = pointed is not None and pointed[0] is card
                _show_card(card, shown, pointed[1] if pointed and is_here else None)
    # On a phone, what was tapped opens at the foot of the window.
    key = "write_word_tapped" if WORD in st.session_state else "write_word"
    with (
        right.container(height=WORD_PX, border=True, key=key, gap="xsmall"),
        shown_errors(),
    ):
        # Only there it can be seen; it is always there, so that what follows keeps its
        # place while one word gives way to another.
        with st.container(key="write_word_close"):
            st.button(t("playground.close"), on_click=_let_go, type="tertiary")
        if pointed is None:
            note(t("playground.word_later" if was_writing else "playground.word_none"))
            return
        show_word(here, pointed[0].told, pointed[1])


def _write_on(samples: Sequence[Writing]) -> None:
    """A token each in turn, for as long as nobody sees a pause."""
    enough = time.monotonic() + DRAW_EVERY_S
    # A sum: each takes its step, whether or not one before it has ended.
    while sum(sample.step() for sample in samples) and time.monotonic() < enough:
        pass


def _let_go() -> None:
    st.session_state.pop(WORD, None)


def _pointed(cards: Sequence[Card]) -> tuple[Card, int] | None:
    """The word that is pointed at; where nobody has, the first story's own."""
    name, position = st.session_state.get(WORD, ("", 0))
    for card in cards:
        if card.name == name and position < len(card.told.stats):
            return card, position
    return (cards[0], cards[0].told.begin_at) if cards else None


def _show_unfinished(
    model: LoadedModel, sample: Writing, place: int, colour: Colour
) -> None:
    given = model.token_texts(sample.prompt.ids)
    written = model.token_texts(sample.ids, sample.prompt.ids)
    shades = _shades(sample, colour)
    tokens = [StripToken(piece, None, ()) for piece in given]
    tokens += [
        StripToken(piece, value, ())
        for piece, value in zip(written, shades, strict=True)
    ]
    story = t("playground.story", n=place + 1)
    to_come = sample.settings.max_new_tokens - len(sample.ids)
    said = t("playground.writing", n=len(sample.ids))
    _show_strip(str(place), tokens, colour, story, said, len(given), n_to_come=to_come)


def _shades(sample: Writing, colour: Colour) -> Sequence[float | None]:
    """What colours each token as it comes: rank and entropy are known when the story is
    read as a whole."""
    log_probs = sample.log_probs[: len(sample.ids)]
    if colour == "prob":
        return [math.exp(value) for value in log_probs]
    if colour == "surprise":
        return [-value / math.log(2) for value in log_probs]
    return log_probs if colour == "log_prob" else [None] * len(sample.ids)


def _show_card(card: Card, shown: Shown, position: int | None) -> None:
    name, told = card
    n_highlighted = told.n_given if told.ended else -1

    def point(at: int) -> None:
        st.session_state[WORD] = (name, at)

    if name == TYPED:
        story = t("playground.typed_card")
    else:
        story = t("playground.story", n=int(name) + 1)
    _show_strip(
        name,
        _tokens(
            told,
            told.reader.source,
            told.stats.ids.tobytes(),
            n_highlighted,
            shown.colour,
            language(),
        ),
        shown.colour,
        story,
        f"{story}. {_figures(told)}" if name == TYPED else _figures(told),
        told.n_given,
        spaces=shown.spaces,
        replay=shown.is_first_visit,
        on_select=point,
        selected=position,
    )


# As `text_figures`, of which they are made.
@shared(64)
def _tokens(
    _told: Told,
    source: str,  # noqa: ARG001
    ids: bytes,  # noqa: ARG001
    n_highlighted: int,
    colour: Colour,
    spoken: Language,  # noqa: ARG001
) -> tuple[StripToken, ...]:
    """A card's tokens; what is not told says whose they are, and in which language."""
    return tuple(heatmap_tokens(_told.reader, _told.stats, n_highlighted, colour))


def _show_strip(
    name: str,
    tokens: Sequence[StripToken],
    colour: Colour,
    story: str,
    said: str,
    n_given: int,
    **options: Any,
) -> None:
    """A card: the text as a strip, and under it what is `said`."""
    low, high, _ = SCALES[colour]
    with st.container(border=True, key=f"write_story_{name}", gap="xxsmall"):
        token_strip(
            tokens,
            key=f"playground_story_{name}",
            scale="sequential",
            low=low,
            high=high,
            legend=None,
            label=f"{story}: {t(f'playground.legend_{colour}')}",
            is_story=True,
            n_given=n_given,
            **options,
        )
        with st.container(key=f"write_figures_{name}"):
            note(said)


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
        "playground.figures_all" if ended and told.n_given else "playground.figures",
        n=f"{len(told.stats):,}",
        loss=signed(told.stats.mean_loss, 3),
        perplexity=f"{told.stats.perplexity:,.2f}",
    )
    return f"{ended} {figures}".strip()
