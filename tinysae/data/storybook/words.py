"""The storybook's words: every concept by name, and the words that stand for it.

They are read from `concepts.json`. A word form means one thing in every story (no
"orange" the fruit beside "orange" the colour), so that the concepts of a word follow
from its spelling alone. Entries with a space are phrases: each of their words carries
the concepts of the whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

_TABLE: Final = json.loads(
    Path(__file__).with_name("concepts.json").read_text(encoding="utf-8")
)

CONCEPTS: Final[dict[str, str]] = {
    name: concept["means"] for name, concept in _TABLE.items()
}
"""Every concept a word can stand for: name -> one line of description."""

LEXICON: Final[dict[str, frozenset[str]]] = {
    name: frozenset(concept["words"]) for name, concept in _TABLE.items()
}
"""Concept -> the words and phrases that stand for it (names keep their capital)."""

KINDS: Final[dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("kinds.json").read_text(encoding="utf-8")
)
"""Kind of words, as "animals" -> its concepts; every concept is of one kind."""

# In order: a story's names are drawn from these.
GIRL_NAMES: Final[tuple[str, ...]] = tuple(_TABLE["girl_name"]["words"])
BOY_NAMES: Final[tuple[str, ...]] = tuple(_TABLE["boy_name"]["words"])
PET_NAMES: Final[tuple[str, ...]] = tuple(_TABLE["pet_name"]["words"])


def _invert() -> dict[str, frozenset[str]]:
    concepts_of: dict[str, set[str]] = {}
    for concept, words in LEXICON.items():
        if not concept.startswith("quote_"):
            for word in words:
                concepts_of.setdefault(word, set()).add(concept)
    return {word: frozenset(concepts) for word, concepts in concepts_of.items()}


WORD_CONCEPTS: Final[dict[str, frozenset[str]]] = _invert()
"""Word or phrase -> its concepts. Quotes are missing: which one depends on place."""
