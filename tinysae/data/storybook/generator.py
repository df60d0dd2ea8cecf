"""Endless stories from a seed, each word with the concepts it stands for."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import count
from typing import Final, NamedTuple

from tinysae.data.storybook.plots import PLOTS, Plot
from tinysae.data.storybook.slots import slot_of
from tinysae.data.storybook.templates import Template, render, slots_of
from tinysae.data.storybook.words import (
    BOY_NAMES,
    GIRL_NAMES,
    LEXICON,
    PET_NAMES,
    WORD_CONCEPTS,
)

MIN_WORDS: Final = 60
MAX_WORDS: Final = 215
"""Longer stories are drawn again: with marks counted too, the end of a longer one
would lie beyond the model's 256 tokens."""
HELD_OUT_IN: Final = 16
"""One cast (protagonist, friend, main thing) in this many is never in training."""

_VOWELS: Final = tuple("aeiou")
_WORDS: Final = re.compile(
    "|".join(
        [
            *sorted((w for w in WORD_CONCEPTS if " " in w or "-" in w), key=len)[::-1],
            r"[A-Za-z]+n't|[A-Za-z]+|'[a-z]+|[\".,!?]",
        ]
    )
)
_NAMES: Final = frozenset((*GIRL_NAMES, *BOY_NAMES, *PET_NAMES))
_GIRL_WORDS: Final = LEXICON["girl_word"]


class Span(NamedTuple):
    """A word's place in a story's text and the concepts it stands for."""

    start: int
    end: int
    concepts: frozenset[str]


@dataclass(frozen=True)
class Story:
    """One story.

    `slots` maps each slot to its filler, in order of first appearance after the plot
    itself; `mentions` holds the char offset of each slot's first appearance.
    `name_cues` are the char offsets where the protagonist's name comes next:
    ``text.startswith(" " + name, cue)``; `pronoun_cues` likewise for the pronoun.
    """

    text: str
    slots: Mapping[str, str]
    mentions: Mapping[str, int]
    name_cues: tuple[int, ...]
    pronoun_cues: tuple[int, ...]

    @property
    def name(self) -> str:
        """The protagonist's name."""
        return self.slots["name"]

    @property
    def pronoun(self) -> str:
        """The protagonist's pronoun: "she" or "he"."""
        return "she" if self.name in GIRL_NAMES else "he"

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """Every word and mark in order; a word without concepts has an empty set."""
        return word_spans(self.text)


def word_spans(text: str) -> tuple[Span, ...]:
    """The words and marks of `text` with their concepts, whoever wrote it."""
    spans: list[Span] = []
    quoted = False
    nothing: frozenset[str] = frozenset()
    for match in _WORDS.finditer(text):
        word = match.group()
        start, end = match.span()
        if word == '"':
            quoted = not quoted
            concepts = frozenset(("quote_open" if quoted else "quote_close",))
        else:
            if word not in _NAMES:
                word = word.lower()
            concepts = WORD_CONCEPTS.get(word, nothing)
        if " " in word:  # a phrase: each of its words carries the concepts
            for part in re.finditer(r"\S+", text[start:end]):
                spans.append(Span(start + part.start(), start + part.end(), concepts))
        else:
            spans.append(Span(start, end, concepts))
    return tuple(spans)


def token_concepts(
    spans: Sequence[Span], offsets: Sequence[tuple[int, int]]
) -> list[frozenset[str]]:
    """The concepts of each token: those of every word the token overlaps.

    `spans` are a story's; `offsets` are the tokenizer's (start, end) chars [n_tokens],
    in order; an empty range (a special token) has no concepts.
    """
    return _concepts_at(spans, offsets, begins_only=False)


def begun_concepts(
    spans: Sequence[Span], offsets: Sequence[tuple[int, int]]
) -> list[frozenset[str]]:
    """The concepts of each word that begins within a token, arguments as above."""
    return _concepts_at(spans, offsets, begins_only=True)


def _concepts_at(
    spans: Sequence[Span], offsets: Sequence[tuple[int, int]], *, begins_only: bool
) -> list[frozenset[str]]:
    by_token: list[frozenset[str]] = []
    first = 0
    for start, end in offsets:
        while first < len(spans) and spans[first].end <= start:
            first += 1
        concepts: frozenset[str] = frozenset()
        at = first
        while at < len(spans) and spans[at].start < end:
            if end > start and not (begins_only and spans[at].start < start):
                concepts |= spans[at].concepts
            at += 1
        by_token.append(concepts)
    return by_token


def is_held_out(cast: Sequence[str]) -> bool:
    """Whether training never sees these fillers in one story, whatever their roles.

    `cast` is (protagonist, second name, main thing as in `SLOT_VALUES`). By crc32:
    Python's own hash differs from process to process.
    """
    return zlib.crc32("|".join(sorted(cast)).encode()) % HELD_OUT_IN == 0


def stories(seed: int, *, held_out: bool = False) -> Iterator[Story]:
    """Stories without end, the same for the same seed in every process.

    Held-out stories have a cast that no story of any seed has in training. The plots
    come round in turn, in a new order each time.
    """
    rng = random.Random(2 * seed + held_out)
    order = list(range(len(PLOTS)))
    for turn in count():
        at = turn % len(PLOTS)
        if at == 0:
            rng.shuffle(order)
        plot, template = PLOTS[order[at]], _templates()[order[at]]
        while True:
            story = _write(plot, template, rng, held_out)
            if MIN_WORDS <= story.text.count(" ") + 1 <= MAX_WORDS:
                break
        yield story


@lru_cache(maxsize=1)
def _templates() -> tuple[Template, ...]:
    templates = tuple(plot.template() for plot in PLOTS)
    for plot, template in zip(PLOTS, templates, strict=True):
        unknown = slots_of(template) - _cast(plot, random.Random(0), None).forms.keys()
        if unknown:
            raise ValueError(f"plot {plot.name}: no slot for {sorted(unknown)}")
    return templates


class _Cast(NamedTuple):
    fillers: dict[str, str]
    forms: dict[str, str]


def _cast(plot: Plot, rng: random.Random, held_out: bool | None) -> _Cast:
    """Fillers for all of a plot's slots; `held_out` None takes any cast."""
    draw = rng.random
    slots = _slots(plot.name)
    while True:
        girl = draw() < 0.5
        friend_girl = draw() < 0.5
        name = _pick(GIRL_NAMES if girl else BOY_NAMES, draw())
        friend = _pick(GIRL_NAMES if friend_girl else BOY_NAMES, draw())
        if friend == name:
            continue
        fillers = {"name": name, "friend": friend}
        for slot, values in slots:
            fillers[slot] = _pick(values, draw())
        cast = (name, fillers[plot.second], fillers[plot.key])
        if held_out is not None and is_held_out(cast) != held_out:
            continue
        forms = _PERSON[girl, ""] | _PERSON[friend_girl, "f"]
        forms |= {"N": name, "F": friend}
        for slot, _ in slots:
            forms |= _forms(slot, fillers[slot])
        return _Cast(fillers, forms)


@cache
def _slots(plot_name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    plot = next(plot for plot in PLOTS if plot.name == plot_name)
    return tuple(plot.values().items())


def _pick(values: Sequence[str], draw: float) -> str:
    return values[int(draw * len(values))]


def _write(plot: Plot, template: Template, rng: random.Random, held_out: bool) -> Story:
    cast = _cast(plot, rng, held_out)
    rendered = render(template, cast.forms, rng.random)
    slots = {"plot": plot.name}
    mentions: dict[str, int] = {}
    for offset, form in rendered.mentions:
        slot = _slot_mentioned(form)
        if slot is not None and slot not in mentions:
            mentions[slot] = offset
            slots[slot] = plain(cast.fillers[slot])
    return Story(
        rendered.text, slots, mentions, rendered.name_cues, rendered.pronoun_cues
    )


def plain(value: str) -> str:
    """A filler without its preposition or plural."""
    return value.partition("+")[2] or value.partition("/")[0]


def _article(word: str) -> str:
    return ("an " if word.startswith(_VOWELS) else "a ") + word


@cache
def _forms(slot: str, value: str) -> dict[str, str]:
    """Every form a template may ask of this filler: its text by the form's name."""
    if "+" in value:
        where, noun = value.split("+")
        return {
            slot: noun,
            f"in {slot}": f"{where} the {noun}",
        }
    noun, _, plural = value.partition("/")
    article = _article(noun)
    forms = {slot: noun, f"a {slot}": article, f"A {slot}": article.capitalize()}
    if plural:
        forms[f"{slot}s"] = plural
        forms[f"{slot}s".capitalize()] = plural.capitalize()
    if slot in ("adult", "job"):
        girl = noun in _GIRL_WORDS
        forms |= {f"{slot} she": "she" if girl else "he"}
        forms |= {f"{slot} her": "her" if girl else "his"}
        forms[f"{slot} She"] = "She" if girl else "He"
        forms[slot.capitalize()] = noun.capitalize()
    return forms


def _person(girl: bool, prefix: str) -> dict[str, str]:
    words = (
        {"she": "she", "her": "her", "obj": "her", "herself": "herself"}
        | {"girl": "girl", "sis": "sister"}
        if girl
        else {"she": "he", "her": "his", "obj": "him", "herself": "himself"}
        | {"girl": "boy", "sis": "brother"}
    )
    forms = {prefix + key: word for key, word in words.items()}
    forms[prefix + "She"] = words["she"].capitalize()
    forms[prefix + "Her"] = words["her"].capitalize()
    return forms


_PERSON: Final = {
    (girl, prefix): _person(girl, prefix)
    for girl in (True, False)
    for prefix in ("", "f")
}


@cache
def _slot_mentioned(form: str) -> str | None:
    # "adult she" says nothing of which adult it is.
    return None if form.endswith((" she", " She", " her")) else slot_of(form)
