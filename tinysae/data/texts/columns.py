"""Which column of a table is the text."""

from collections.abc import Mapping
from typing import Any, Literal

from tinysae.config import TextChoice
from tinysae.data.texts.text import Document
from tinysae.errors import InputError

Kind = Literal["text", "tokens", "other"]

# What datasets call the column that is read, the likeliest first.
TEXT_NAMES = ("text", "content", "story", "document", "body", "article", "sentence")
TOKEN_NAMES = ("input_ids", "tokens", "token_ids", "ids")
MAX_NAMED = 20
MAX_TOKEN = (1 << 63) - 1


def kind_of(value: Any) -> Kind:
    """What a value of a row is to a model."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, list) and value and all(map(_is_token, value)):
        return "tokens"
    return "other"


def _is_token(value: Any) -> bool:
    # Whether a model has it is another question; that it fits 64 bits is this one.
    return type(value) is int and -MAX_TOKEN <= value <= MAX_TOKEN


def column_of(columns: Mapping[str, Kind], choice: TextChoice) -> str:
    """The column that was asked for, else the likeliest.

    Raises:
        InputError: there is no such column, or none that could be meant; the sentence
            names those there are.
    """
    wanted: Kind = "tokens" if choice.is_tokenized else "text"
    named = ", ".join(list(columns)[:MAX_NAMED])[:400]
    if choice.column:
        if choice.column not in columns:
            raise InputError(
                "text_column_missing", column=choice.column[:80], columns=named
            )
        if columns[choice.column] != wanted:
            raise InputError(f"text_column_no_{wanted}", column=choice.column[:80])
        return choice.column
    likely = [name for name, kind in columns.items() if kind == wanted]
    for name in TOKEN_NAMES if choice.is_tokenized else TEXT_NAMES:
        if name in likely:
            return name
    if len(likely) == 1:
        return likely[0]
    if likely:
        raise InputError("text_many_columns", columns=", ".join(likely)[:400])
    if not choice.is_tokenized and "tokens" in columns.values():
        raise InputError("text_is_tokenized")
    raise InputError(f"text_without_{wanted}", columns=named)


def read(value: Any, choice: TextChoice) -> Document | None:
    """The document in a value of that column; None where there is none."""
    if choice.is_tokenized:
        return value if kind_of(value) == "tokens" else None
    return value if isinstance(value, str) else None
