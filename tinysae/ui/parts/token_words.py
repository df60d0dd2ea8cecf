"""Tokens as words that anybody reads."""

from collections.abc import Sequence

from tinysae.render.visible import as_words
from tinysae.ui.shell.i18n import t

# What models end a text with.
_ENDS = frozenset({"<|endoftext|>", "</s>", "<eos>"})


def token_words(texts: Sequence[str]) -> list[str]:
    """`texts` as a list of words says them; what ends a text by what it means."""
    return [
        t("tokens.end") if text in _ENDS else word
        for text, word in zip(texts, as_words(texts), strict=True)
    ]
