"""A lesson is data: a JSON file of steps, checked so that an error names the step.

Those of `tinysae/lessons` come along; a teacher's lie in `<home>/lessons`. No text of a
file is ever evaluated: calls are looked up in `calls.CALLS`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal, TypeGuard, get_args

from tinysae.checked_numbers import is_number_within
from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError
from tinysae.features.names.sentences import concept_name
from tinysae.jobs.files import read_json
from tinysae.jobs.home import home
from tinysae.lessons.calls.registry import CALLS
from tinysae.words import LANGUAGES, Language

FORMAT: Final = 1
MAX_BYTES: Final = 1_000_000
MAX_STEPS: Final = 40
MAX_TEXT: Final = 2_000
"""Characters of a sentence, a typed text or a default."""
MAX_NUMBER: Final = 1e9
FIRST: Final = ("names", "features", "train")
"""The order of the lessons that come along; others follow by name."""
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PAGES: Final = ("playground", "train", "features", "why")

Texts = Mapping[Language, str]
InputKind = Literal["choice", "number", "text"]


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
            if _is_number(value) and self.low <= value <= self.high:
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

    answer: `{words}` in it are filled in with what the call found.
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
    page: str | None

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


def lessons_dir() -> Path:
    """Where a teacher's lessons lie."""
    return home() / "lessons"


def lesson_ids() -> list[str]:
    """Every lesson there is, those that come along first; unread and unchecked."""
    shipped = {path.name.removesuffix(".json") for path in _shipped_files()}
    try:
        found = {p.stem for p in lessons_dir().glob("*.json") if p.is_file()}
    except OSError:
        found = set()
    own = sorted(name for name in found - shipped if _ID.fullmatch(name))
    first = [name for name in FIRST if name in shipped]
    return [*first, *sorted(shipped - set(first)), *own]


def load_lesson(lesson_id: str) -> Lesson:
    """The lesson called `lesson_id`, checked.

    Raises:
        MissingError: there is no such lesson.
        DamagedError: its file is not a lesson; it names the step and what is wrong.
    """
    if not _ID.fullmatch(lesson_id) or lesson_id not in lesson_ids():
        raise MissingError("lesson_missing", lesson=lesson_id[:60])
    own = not any(path.name == f"{lesson_id}.json" for path in _shipped_files())
    folder = lessons_dir() if own else Path(str(files("tinysae.lessons")))
    path = folder / f"{lesson_id}.json"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("size")
        data = read_json(path)
    except (OSError, ValueError, RecursionError) as problem:
        raise DamagedError("lesson_no_json", lesson=lesson_id) from problem
    return parse_lesson(lesson_id, data, own=own)


def parse_lesson(
    lesson_id: str, data: Mapping[str, Any], *, own: bool = False
) -> Lesson:
    """The lesson in `data`.

    Raises:
        DamagedError: naming the step (0 for the lesson itself), the field, and what
            would be accepted.
    """
    top = _Reader(lesson_id, 0, data)
    if top.get("format") != FORMAT:
        raise top.wrong("format", str(FORMAT))
    steps = top.get("steps")
    if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
        raise top.wrong("steps", f"1 - {MAX_STEPS} steps")
    return Lesson(
        lesson_id,
        top.texts("title"),
        top.texts("lead"),
        tuple(_step(lesson_id, at, step) for at, step in enumerate(steps, 1)),
        own,
    )


class _Reader:
    """Reads the fields of one step, or of the lesson around them."""

    def __init__(self, lesson_id: str, step: int, data: object) -> None:
        self._lesson, self._step = lesson_id, step
        if not isinstance(data, Mapping):
            raise self.wrong("steps" if step else "title", "{...}")
        self._data: Mapping[str, Any] = data

    def wrong(self, field: str, wanted: str) -> TinysaeError:
        """What is wrong with a field."""
        return DamagedError(
            "lesson_field",
            lesson=self._lesson,
            step=self._step,
            field=field[:60],
            wanted=wanted,
        )

    def get(self, field: str, default: Any = None) -> Any:
        return self._data.get(field, default)

    def texts(self, field: str) -> Texts:
        """A sentence in every language."""
        found = self._data.get(field)
        if not isinstance(found, Mapping):
            raise self.wrong(field, '{"en": "...", "ko": "..."}')
        for language in LANGUAGES:
            text = found.get(language)
            if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_TEXT:
                raise DamagedError(
                    "lesson_translation",
                    lesson=self._lesson,
                    step=self._step,
                    field=field,
                    language=language,
                )
        return {language: found[language] for language in LANGUAGES}

    def bound(self, field: str) -> Bound:
        data = _Reader(self._lesson, self._step, self._data.get(field))
        figure = data.get("figure")
        if not isinstance(figure, str):
            raise self.wrong(f"{field}.figure", '"..."')
        low, high = data.get("at_least"), data.get("at_most")
        numbers = [number for number in (low, high) if number is not None]
        if not numbers or not all(map(_is_number, numbers)):
            raise self.wrong(field, "at_least, at_most")
        return Bound(figure, data.texts("text"), low, high)


def _step(lesson_id: str, at: int, data: object) -> Step:
    reader = _Reader(lesson_id, at, data)
    name = reader.get("call")
    if not isinstance(name, str) or name not in CALLS:
        raise DamagedError(
            "lesson_call",
            lesson=lesson_id,
            step=at,
            call=str(name)[:60],
            choices=", ".join(CALLS),
        )
    args = reader.get("args", {})
    if not isinstance(args, Mapping):
        raise reader.wrong("args", "{...}")
    inputs = reader.get("inputs", [])
    if not isinstance(inputs, list):
        raise reader.wrong("inputs", "[...]")
    read = tuple(_input(lesson_id, at, each) for each in inputs)
    arguments = CALLS[name].arguments
    given = [*args, *(each.name for each in read)]
    for each in given:
        if each not in arguments or given.count(each) > 1:
            raise reader.wrong(f"args.{each}", ", ".join(arguments))
    for each, argument in arguments.items():
        if argument.is_needed and each not in given:
            raise reader.wrong(f"args.{each}", ", ".join(arguments))
    for each, value in args.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise reader.wrong(f"args.{each}", f"1 - {MAX_TEXT}")
        _check_kind(reader, f"args.{each}", value, arguments[each].kind)
    for each in read:
        _check_kind(
            reader, f"inputs.{each.name}", each.default, arguments[each.name].kind
        )
    claim = None
    if reader.get("claim") is not None:
        if CALLS[name].cases is None:
            raise reader.wrong("claim", "-")
        claim = Claim(reader.bound("claim"), reader.bound("control"))
    page = reader.get("page")
    if page is not None and page not in _PAGES:
        raise reader.wrong("page", ", ".join(_PAGES))
    answer = reader.texts("answer")
    for text in answer.values():
        _check_placeholders(reader, text)
    return Step(
        reader.texts("title"),
        reader.texts("text"),
        reader.texts("try"),
        reader.texts("question"),
        answer,
        name,
        dict(args),
        read,
        claim,
        page,
    )


def _check_kind(reader: _Reader, field: str, value: object, kind: type) -> None:
    """Whether the call can take a value; where it takes a number, a whole one will do,
    and not the other way about."""
    fits = isinstance(value, str) if kind is str else _is_number(value)
    if kind is int:
        fits = isinstance(value, int) and _is_number(value)
    if not fits:
        said = {str: '"..."', int: "0, 1, 2, ..."}
        raise reader.wrong(field, said.get(kind, "0.5"))


def _check_placeholders(reader: _Reader, text: str) -> None:
    """Only `{name}`: no attribute, index or format can be asked of a value."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise reader.wrong("answer", "{name}") from None
    for _, name, form, conversion in parts:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise reader.wrong("answer", "{name}")


def _input(lesson_id: str, at: int, data: object) -> Input:
    reader = _Reader(lesson_id, at, data)
    name, kind = reader.get("name"), reader.get("kind")
    if not isinstance(name, str):
        raise reader.wrong("inputs.name", '"..."')
    if kind not in get_args(InputKind):
        raise reader.wrong("inputs.kind", ", ".join(get_args(InputKind)))
    choices = reader.get("choices", [])
    if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
        raise reader.wrong("inputs.choices", '["..."]')
    low, high = reader.get("low", 0.0), reader.get("high", 1.0)
    if not (_is_number(low) and _is_number(high) and low < high):
        raise reader.wrong("inputs.low", "low < high")
    default = reader.get("default")
    made = Input(name, kind, reader.texts("label"), default, tuple(choices), low, high)
    try:
        made.checked(default)
    except InputError:
        raise reader.wrong("inputs.default", "choices, low, high") from None
    return made


def _is_number(value: object) -> TypeGuard[int | float]:
    return is_number_within(value, float, -MAX_NUMBER, MAX_NUMBER)


def _shipped_files() -> list[Any]:
    folder = files("tinysae.lessons")
    return [path for path in folder.iterdir() if path.name.endswith(".json")]
