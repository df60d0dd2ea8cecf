"""Every sentence a user sees, in English and Korean: one JSON file a room.

A file maps `key -> {"en": ..., "ko": ...}`; `{name}` marks a value to fill in.
This package is a leaf (no torch, no streamlit), so that the command line, the errors
and the pages all speak from the same catalogue.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """All sentences, `key -> language -> text`.

    Raises:
        ValueError: when two files define the same key.
    """
    merged: dict[str, dict[str, str]] = {}
    for path in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".json"):
            continue
        for key, texts in json.loads(path.read_text(encoding="utf-8")).items():
            if key in merged:
                raise ValueError(f"sentence {key!r} is defined twice ({path.name})")
            merged[key] = texts
    return merged


def text(key: str, language: Language, /, **values: object) -> str:
    """The sentence `key` in `language`, with `values` filled in.

    Raises:
        KeyError: when the catalogue has no such key or the sentence wants a value
            that was not given.
    """
    return catalogue()[key][language].format(**values)
