"""The themes of an SAE's features: `themes.json` beside its index, and what a theme is
called. Who reads it trusts nothing in it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from tinysae.checked_numbers import whole
from tinysae.errors import DamagedError
from tinysae.features.names.rules import MAX_WHAT
from tinysae.jobs.files import parsed_json, read_bytes, write_text
from tinysae.render.visible import as_word
from tinysae.words import Language, catalogue, text

THEMES_NAME: Final = "themes.json"
FORMAT: Final = 1
MOST_THEMES: Final = 64
MAX_FILE_BYTES: Final = 1_000_000
"""Twice what 131,072 features take."""


class Theme(NamedTuple):
    """What a group of features has in common.

    is_kind: whether `what` is one of the kinds of words that have a name
    (`themes.kind.*`), as "animals"; else it is a word of the text itself, untrusted.
    """

    what: str
    is_kind: bool = True

    @property
    def key(self) -> str:
        """What an address calls it."""
        return self.what if self.is_kind else f"={self.what}"


@dataclass(frozen=True)
class Themes:
    """The themes of an SAE, the largest first.

    of [d_sae]: the place of each feature's theme among `themes`; -1 where it has none.
    """

    themes: Sequence[Theme] = ()
    of: Sequence[int] = field(default=(), repr=False)

    def theme(self, feature: int) -> Theme | None:
        """The theme of a feature, if it has one."""
        at = self.of[feature] if feature < len(self.of) else -1
        return None if at < 0 else self.themes[at]

    @cached_property
    def members(self) -> list[list[int]]:
        """The features of each theme, by number."""
        found: list[list[int]] = [[] for _ in self.themes]
        for feature, at in enumerate(self.of):
            if at >= 0:
                found[at].append(feature)
        return found


def theme_name(theme: Theme, language: Language) -> str:
    """What it is called, as plain untrusted text."""
    if theme.is_kind:
        return text(_key(theme.what), language)
    return text("names.word", language, what=as_word(theme.what))


def _key(kind: str) -> str:
    return f"themes.kind_{kind}"


def write_themes(folder: Path, themes: Themes) -> None:
    """Writes `themes.json` beside an index.

    Raises:
        OSError: the folder cannot be written.
    """
    named = [[theme.what, theme.is_kind] for theme in themes.themes]
    data = {"format": FORMAT, "themes": named, "of": list(themes.of)}
    write_text(folder / THEMES_NAME, json.dumps(data, separators=(",", ":")))


def read_themes(folder: Path) -> Themes:
    """The themes beside an index; none where there is no file.

    Raises:
        DamagedError: the file is not what `write_themes` writes.
    """
    try:
        data = parsed_json(read_bytes(folder / THEMES_NAME, MAX_FILE_BYTES))
        if data["format"] != FORMAT or len(data["themes"]) > MOST_THEMES:
            raise ValueError("format")
        themes = tuple(_theme(*each) for each in data["themes"])
        places = range(-1, len(themes))
        of = [whole(at, low=-1) for at in data["of"]]
        if len(set(themes)) < len(themes) or not all(at in places for at in of):
            raise ValueError("themes")
        return Themes(themes, tuple(at for at in of if at is not None))
    except FileNotFoundError:
        return Themes()
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise DamagedError("features_damaged", file=THEMES_NAME) from why


def themes_or_none(folder: Path) -> Themes:
    """`read_themes` for whoever can do without: none where they cannot be read."""
    try:
        return read_themes(folder)
    except DamagedError:
        return Themes()


def _theme(what: Any, is_kind: Any) -> Theme:
    if not (isinstance(what, str) and what and len(what) <= MAX_WHAT):
        raise ValueError("theme")
    if type(is_kind) is not bool or (is_kind and _key(what) not in catalogue()):
        raise ValueError("kind")
    return Theme(what, is_kind)
