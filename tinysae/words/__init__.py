"""Every sentence a user sees, in English and Korean: one JSON file a room.

A file maps `key -> {"en": ..., "ko": ...}`; `{name}` marks a value to fill in, and
`{n:feature|features}` a number with the word for one or for many: "1 feature".
This package is a leaf (no torch, no streamlit), so that the command line, the errors
and the pages all speak from the same catalogue.
"""

import json
from functools import cache
from importlib.resources import files
from string import Formatter
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
    sentence = catalogue()[key][language]
    # A page asks for hundreds; `str.format` takes a quarter of a `Formatter`'s time.
    if "|" not in sentence:
        return sentence.format(**values)
    return _COUNTED.vformat(sentence, (), values)


class _Counted(Formatter):
    """`str.format`, and `{n:one|many}`."""

    def format_field(self, value: object, format_spec: str) -> str:
        one, bar, many = format_spec.partition("|")
        if not bar:
            return super().format_field(value, format_spec)
        return f"{value} {one if str(value) == '1' else many}"


_COUNTED = _Counted()
