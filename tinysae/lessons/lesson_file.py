"""Lessons as JSON files, checked so that an error names the step.

Those of `tinysae/lessons` come along; a teacher's lie in `<home>/lessons`. No text of a
file is ever evaluated: calls are looked up in `calls.registry.CALLS`.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Any, Final, TypeVar, get_args

from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError
from tinysae.jobs.files import read_json
from tinysae.jobs.home import home
from tinysae.lessons.calls.registry import CALLS
from tinysae.lessons.lesson import (
    MAX_GUESSES,
    MAX_STEPS,
    MAX_TEXT,
    Bound,
    Claim,
    Input,
    InputKind,
    Lesson,
    LinkedPage,
    Step,
    Texts,
    is_number,
)
from tinysae.words import LANGUAGES

FORMAT: Final = 1
MAX_BYTES: Final = 1_000_000
FIRST: Final = ("names", "features", "train")
"""The order of the lessons that come along; others follow by name."""
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PAGES: Final = get_args(LinkedPage)
_OBJECT: Final = "{...}"
_TEXT: Final = '"..."'

T = TypeVar("T")


def lessons_dir() -> Path:
    """Where a teacher's lessons lie."""
    return home() / "lessons"


def lesson_ids() -> list[str]:
    """Every lesson there is, those that come along first; unread and unchecked."""
    shipped = {path.name.removesuffix(".json") for path in _shipped_files()}
    try:
        there = {p.stem for p in lessons_dir().glob("*.json") if p.is_file()}
    except OSError:
        there = set()
    own = sorted(name for name in there - shipped if _ID.fullmatch(name))
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
    top = _Fields(lesson_id, 0, data)
    if top.get("format", object) != FORMAT:
        raise top.wrong("format", str(FORMAT))
    steps = top.get("steps", list, some := f"1 - {MAX_STEPS} steps")
    if not 1 <= len(steps) <= MAX_STEPS:
        raise top.wrong("steps", some)
    return Lesson(
        lesson_id,
        top.texts("title"),
        top.texts("lead"),
        tuple(_step(_Fields(lesson_id, at, step)) for at, step in enumerate(steps, 1)),
        own,
    )


class _Fields:
    """The fields of one step, of an object in it, or of the lesson around them.

    Args:
        lesson_id, step: where they are, for what is said of them; 0 is the lesson.
        data: what should be a JSON object.
        within: the object's name in the step, and a dot.
    """

    def __init__(
        self, lesson_id: str, step: int, data: object, within: str = ""
    ) -> None:
        self._lesson, self._step, self._within = lesson_id, step, within
        if not isinstance(data, Mapping):
            name = within.rstrip(".") or ("steps" if step else "title")
            raise DamagedError("lesson_field", **self._place(name), wanted=_OBJECT)
        self._data: Mapping[str, Any] = data

    def _place(self, field: str) -> dict[str, object]:
        return {"lesson": self._lesson, "step": self._step, "field": field[:60]}

    def wrong(self, field: str, wanted: str) -> TinysaeError:
        """What is wrong with a field."""
        field = self._within + field
        return DamagedError("lesson_field", **self._place(field), wanted=wanted)

    def get(
        self, field: str, kind: type[T], wanted: str = "", default: Any = None
    ) -> T:
        """A field's value, if it is of that kind."""
        value = self._data.get(field, default)
        if not isinstance(value, kind):
            raise self.wrong(field, wanted)
        return value

    def choice(self, field: str, choices: tuple[str, ...]) -> Any:
        """One of a few words."""
        value = self._data.get(field)
        if value not in choices:
            raise self.wrong(field, ", ".join(choices))
        return value

    def has(self, field: str) -> bool:
        return self._data.get(field) is not None

    def within(self, field: str, data: object = None) -> "_Fields":
        """The fields of an object; by default of the one in `field`."""
        data = self._data.get(field) if data is None else data
        return _Fields(self._lesson, self._step, data, f"{field}.")

    def texts(self, field: str) -> Texts:
        """A sentence in every language."""
        sentences = self.get(field, Mapping, '{"en": "...", "ko": "..."}')
        for language in LANGUAGES:
            text = sentences.get(language)
            if not isinstance(text, str) or not 0 < len(text.strip()) <= MAX_TEXT:
                place = self._place(self._within + field)
                raise DamagedError("lesson_translation", **place, language=language)
        return {language: sentences[language] for language in LANGUAGES}

    def call(self) -> str:
        name = self._data.get("call")
        if isinstance(name, str) and name in CALLS:
            return name
        raise DamagedError(
            "lesson_call",
            lesson=self._lesson,
            step=self._step,
            call=str(name)[:60],
            choices=", ".join(CALLS),
        )


def _step(fields: _Fields) -> Step:
    call = fields.call()
    args = fields.get("args", Mapping, _OBJECT, {})
    inputs = fields.get("inputs", list, "[...]", [])
    read = tuple(_input(fields.within("inputs", each)) for each in inputs)
    _check_arguments(fields, call, args, read)
    claim = None
    if fields.has("claim"):
        if CALLS[call].cases is None:
            raise fields.wrong("claim", "-")
        claim = Claim(_bound(fields, "claim"), _bound(fields, "control"))
    answer = fields.texts("answer")
    for text in answer.values():
        _check_placeholders(fields, text)
    return Step(
        title=fields.texts("title"),
        text=fields.texts("text"),
        hint=fields.texts("try"),
        question=fields.texts("question"),
        answer=answer,
        call=call,
        args=dict(args),
        inputs=read,
        claim=claim,
        page=fields.choice("page", _PAGES) if fields.has("page") else None,
        guesses=(guesses := _guesses(fields)),
        right=_right(fields, len(guesses), claim),
    )


def _guesses(fields: _Fields) -> tuple[Texts, ...]:
    found = fields.get("guesses", list, "[...]", [])
    if len(found) == 1 or len(found) > MAX_GUESSES:
        raise fields.wrong("guesses", f"2 - {MAX_GUESSES}")
    return tuple(
        fields.within("guesses", {"text": each}).texts("text") for each in found
    )


def _right(fields: _Fields, n: int, claim: Claim | None) -> int | None:
    """The guess that a claim makes true; 0 is the first."""
    right = fields.get("right", object)
    if right is None:
        return None
    is_one = isinstance(right, int) and not isinstance(right, bool)
    if claim is None or not is_one or not 0 <= right < n:  # type: ignore[operator]
        raise fields.wrong("right", f"0 - {n - 1}" if n and claim else "-")
    return right  # type: ignore[return-value]


def _check_arguments(
    fields: _Fields, call: str, args: Mapping[str, Any], inputs: tuple[Input, ...]
) -> None:
    """Whether the file and the reader together give the call what it takes, once."""
    arguments = CALLS[call].arguments
    needed = [name for name, argument in arguments.items() if argument.is_needed]
    given = [*args, *(each.name for each in inputs)]
    for name in (*given, *needed):
        if name not in arguments or given.count(name) != 1:
            raise fields.wrong(f"args.{name}", ", ".join(arguments))
    for name, value in args.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise fields.wrong(f"args.{name}", f"1 - {MAX_TEXT}")
        _check_kind(fields, f"args.{name}", value, arguments[name].kind)
    for each in inputs:
        kind = arguments[each.name].kind
        _check_kind(fields, f"inputs.{each.name}", each.default, kind)


def _check_kind(fields: _Fields, field: str, value: object, kind: type) -> None:
    """Whether the call can take a value; where it takes a number, a whole one will do,
    and not the other way about."""
    fits = isinstance(value, str) if kind is str else is_number(value)
    if kind is int:
        fits = isinstance(value, int) and is_number(value)
    if not fits:
        said = {str: _TEXT, int: "0, 1, 2, ..."}
        raise fields.wrong(field, said.get(kind, "0.5"))


def _check_placeholders(fields: _Fields, text: str) -> None:
    """Only `{name}`: no attribute, index or format can be asked of a value."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise fields.wrong("answer", "{name}") from None
    for _, name, form, conversion in parts:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise fields.wrong("answer", "{name}")


def _bound(step: _Fields, field: str) -> Bound:
    fields = step.within(field)
    low, high = (fields.get(end, object) for end in ("at_least", "at_most"))
    numbers = [number for number in (low, high) if number is not None]
    if not numbers or not all(map(is_number, numbers)):
        raise step.wrong(field, "at_least, at_most")
    figure = fields.get("figure", str, _TEXT)
    return Bound(figure, fields.texts("text"), low, high)  # type: ignore[arg-type]


def _input(fields: _Fields) -> Input:
    name = fields.get("name", str, _TEXT)
    kind = fields.choice("kind", get_args(InputKind))
    choices = fields.get("choices", list, '["..."]', [])
    if not all(isinstance(choice, str) for choice in choices):
        raise fields.wrong("choices", '["..."]')
    low, high = fields.get("low", object, "", 0.0), fields.get("high", object, "", 1.0)
    if not (is_number(low) and is_number(high) and low < high):
        raise fields.wrong("low", "low < high")
    default: Any = fields.get("default", object)
    made = Input(name, kind, fields.texts("label"), default, tuple(choices), low, high)
    try:
        made.checked(default)
    except InputError:
        raise fields.wrong("default", "choices, low, high") from None
    return made


def _shipped_files() -> list[Any]:
    folder = files("tinysae.lessons")
    return [path for path in folder.iterdir() if path.name.endswith(".json")]
