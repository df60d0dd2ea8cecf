"""What a lesson is: steps, each with a question to the model and one thing to try.

`lesson_file` reads lessons from JSON.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeGuard

from tinysae.checked_numbers import is_number_within
from tinysae.errors import InputError
from tinysae.features.names.labels import concept_name
from tinysae.words import Language

MAX_STEPS: Final = 40
MAX_GUESSES: Final = 5
MAX_TEXT: Final = 2_000
"""Characters of a sentence, a typed text or a default."""
MAX_NUMBER: Final = 1e9

Texts = Mapping[Language, str]
InputKind = Literal["choice", "number", "text"]
LinkedPage = Literal["playground", "train", "features", "why"]
"""A page that a step leads to."""


@dataclass(frozen=True)
class Input:
    """The one thing to try: what a reader may change, within bounds."""

    name: str
    kind: InputKind
    label: Texts
    default: str | float
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    def said(self, value: object, language: Language) -> str:
        """A value as people read it; a concept by its name."""
        is_concept = self.name == "concept"
        return concept_name(str(value), language) if is_concept else str(value)

    def checked(self, value: object) -> str | float:
        """`value`, if a reader may choose it; a browser can send anything.

        Raises:
            InputError: it is not within the bounds.
        """
        if self.kind == "number":
            if is_number(value) and self.low <= value <= self.high:
                # A feature's number is an int, a strength is not.
                return int(value) if isinstance(self.default, int) else float(value)
        elif isinstance(value, str):
            if self.kind == "text" and 0 < len(value.strip()) <= len(value) <= MAX_TEXT:
                return value
            if self.kind == "choice" and value in self.choices:
                return value
        raise InputError("lesson_choice", value=str(value)[:60])


@dataclass(frozen=True)
class Bound:
    """What the mean of a figure over held-out cases should be."""

    figure: str
    text: Texts
    at_least: float | None
    at_most: float | None

    def holds(self, value: float) -> bool:
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low <= value <= high


@dataclass(frozen=True)
class Claim:
    """What a step says of the model, and the control that it is held against."""

    own: Bound
    control: Bound


@dataclass(frozen=True)
class Step:
    """One screen: a text, a live cell, one thing to try, a question and its answer.

    answer: `{words}` in it are filled in with what the call found. guesses: what a
    reader may think before; right: the one that is true where the claim is.
    """

    title: Texts
    text: Texts
    hint: Texts
    question: Texts
    answer: Texts
    call: str
    args: Mapping[str, Any]
    inputs: tuple[Input, ...]
    claim: Claim | None
    page: LinkedPage | None
    guesses: tuple[Texts, ...] = ()
    right: int | None = None

    def values(self, chosen: Mapping[str, object]) -> dict[str, Any]:
        """The call's arguments: those of the file, and what the reader chose.

        Raises:
            InputError: something chosen is out of bounds.
        """
        own = {each.name: chosen.get(each.name, each.default) for each in self.inputs}
        return {
            **self.args,
            **{each.name: each.checked(own[each.name]) for each in self.inputs},
        }


@dataclass(frozen=True)
class Lesson:
    """Steps in their order; `own` lessons are a teacher's."""

    id: str
    title: Texts
    lead: Texts
    steps: tuple[Step, ...]
    own: bool = False


def is_number(value: object) -> TypeGuard[int | float]:
    return is_number_within(value, float, -MAX_NUMBER, MAX_NUMBER)
