"""The storybook's template language: parsed once, rendered very often.

``{slot}`` stands for a filler, ``{a slot}`` for the filler with its article,
``[one|two|]`` for one of several wordings (an empty one makes it optional) and
``<name>`` for a wording shared by many plots. ``{N!}`` and ``{she!}`` also mark a cue:
a place where the story's opening words tell that the protagonist comes next.
Line breaks and runs of spaces are one space. Speech stands in “these marks”, which
become straight ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

_STRAIGHT: Final = str.maketrans("“”", '""')
_PIECES: Final = re.compile(r"[\[\]|]|\{[^{}]+\}|[^\[\]|{}<>]+")


class Slot(NamedTuple):
    """A hole in a template.

    `form` is the key of its text among a story's forms, `cue` says whether the
    protagonist is due here ("name", "pronoun" or "").
    """

    form: str
    cue: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Several wordings of the same thing; one is drawn at each rendering."""

    options: tuple[Template, ...]


Template = tuple["str | Slot | Choice", ...]


class Rendered(NamedTuple):
    """A story's text, with the char offsets of what the templates marked in it.

    A cue's offset is that of the space before the name or pronoun.
    """

    text: str
    mentions: tuple[tuple[int, str], ...]
    """(char offset, form) of each slot, in order."""
    name_cues: tuple[int, ...]
    pronoun_cues: tuple[int, ...]


def parse(source: str, macros: Mapping[str, str]) -> Template:
    """The template written in `source`; a macro's wording may use other macros.

    Raises ValueError for brackets that do not match or a macro that is unknown.
    """
    text = source
    while (macro := re.search(r"<([a-z_]+)>", text)) is not None:
        if macro[1] not in macros:
            raise ValueError(f"unknown macro {macro[0]}")
        text = text[: macro.start()] + macros[macro[1]].strip() + text[macro.end() :]
    text = re.sub(r"\s+", " ", text.strip()).translate(_STRAIGHT)
    text = re.sub(r"(?<=[\[|]) | (?=[|\]])", "", text)
    pieces = _PIECES.findall(text)
    if "".join(pieces) != text:
        raise ValueError(f"stray bracket in template: {text[:80]!r}")
    template, rest = _sequence(pieces, 0)
    if rest != len(pieces):
        raise ValueError(f"unmatched bracket in template: {text[:80]!r}")
    return template


def _sequence(pieces: list[str], at: int) -> tuple[Template, int]:
    """The parts from `at` to the end of this option, and where that end is.

    An empty option takes a space beside it along ("was [very|] happy", "ran [fast|].").
    """
    parts: list[str | Slot | Choice] = []
    spaced = True
    while at < len(pieces) and pieces[at] not in ("]", "|"):
        piece = pieces[at]
        at += 1
        if piece == "[":
            options, at = _options(pieces, at)
            following = pieces[at] if at < len(pieces) else ""
            takes_space = spaced and () in options and following.startswith(" ")
            if takes_space:
                options = [(*option, " ") if option else () for option in options]
                pieces[at] = following[1:]
                at += not pieces[at]
            elif spaced and () in options and parts and isinstance(parts[-1], str):
                options = [(" ", *option) if option else () for option in options]
                parts[-1] = parts[-1][:-1]
            parts.append(Choice(tuple(options)))
            spaced = takes_space
        elif piece[0] == "{":
            name = piece[1:-1].removesuffix("!")
            kind = "name" if name == "N" else "pronoun"
            parts.append(Slot(name, kind if piece.endswith("!}") else ""))
            spaced = False
        else:
            parts.append(piece)
            spaced = piece.endswith(" ")
    return tuple(parts), at


def _options(pieces: list[str], at: int) -> tuple[list[Template], int]:
    options: list[Template] = []
    while True:
        option, at = _sequence(pieces, at)
        inner = option[0] if len(option) == 1 else None
        if isinstance(inner, Choice) and () in inner.options:
            options.extend(inner.options)
        else:
            options.append(option)
        if at == len(pieces):
            raise ValueError(f"[ without ] at {option!r}")
        at += 1
        if pieces[at - 1] == "]":
            return options, at


def slots_of(template: Template) -> set[str]:
    """Every form that some rendering of `template` may ask for."""
    forms: set[str] = set()
    for part in template:
        if isinstance(part, Slot):
            forms.add(part.form)
        elif isinstance(part, Choice):
            forms.update(*(slots_of(option) for option in part.options))
    return forms


def render(
    template: Template, forms: Mapping[str, str], draw: Callable[[], float]
) -> Rendered:
    """One wording of `template`; `draw` gives numbers in [0, 1)."""
    out: list[str] = []
    marks: list[tuple[int, Slot]] = []
    stack = [iter(template)]
    while stack:
        for part in stack[-1]:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, Slot):
                marks.append((len(out), part))
                out.append(forms[part.form])
            else:
                option = part.options[int(draw() * len(part.options))]
                stack.append(iter(option))
                break
        else:
            stack.pop()
    starts = list(accumulate(map(len, out), initial=0))
    return Rendered(
        "".join(out).rstrip(),
        tuple((starts[i], slot.form) for i, slot in marks),
        tuple(starts[i] - 1 for i, slot in marks if slot.cue == "name"),
        tuple(starts[i] - 1 for i, slot in marks if slot.cue == "pronoun"),
    )
