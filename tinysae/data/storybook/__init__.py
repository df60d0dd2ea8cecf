"""Endless simple children's stories from a seed, every word with its concepts."""

from tinysae.data.storybook.generator import (
    Span,
    Story,
    begun_concepts,
    stories,
    token_concepts,
    word_spans,
)
from tinysae.data.storybook.words import (
    BOY_NAMES,
    CONCEPTS,
    GIRL_NAMES,
    LEXICON,
    PET_NAMES,
)

__all__ = [
    "BOY_NAMES",
    "CONCEPTS",
    "GIRL_NAMES",
    "LEXICON",
    "PET_NAMES",
    "Span",
    "Story",
    "begun_concepts",
    "stories",
    "token_concepts",
    "word_spans",
]
