"""Tokens as words that anybody reads."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice

from tinysae.render.visible import as_words
from tinysae.ui.shell.i18n import t

# What models end a text with.
_ENDS = frozenset({"<|endoftext|>", "</s>", "<eos>"})
# A byte that is no character by itself, as `Vocabulary.text` tells it.
_BYTE = re.compile(r"\\x[0-9a-f]{2}")


def token_words(texts: Sequence[str]) -> list[str]:
    """`texts` as a list of words says them; what ends a text by what it means."""
    return [
        t("tokens.end") if text in _ENDS else word
        for text, word in zip(texts, as_words(texts), strict=True)
    ]


def first_words(texts: Iterable[str], n: int) -> list[str]:
    """The first `n` of many tokens as words; what is a part of a character tells nobody
    anything and is passed over."""
    readable = (text for text in texts if not _BYTE.search(text))
    return token_words(list(islice(readable, n)))
