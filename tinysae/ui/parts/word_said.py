"""What is said of a word that the model wrote or read, in a sentence or two."""

from tinysae.render.numbers import percent
from tinysae.render.visible import as_word
from tinysae.ui.shell.i18n import t

# From which probability on it was what.
_HOW_SURE = ((0.9, "sure"), (0.5, "likely"), (0.1, "maybe"), (0.0, "surprised"))


def word_said(prob: float, rank: int, favourite: str, odds: float) -> str:
    """How sure the model was of a word, and what it would rather have written.

    Args:
        prob: the word's probability.
        rank: how many were likelier.
        favourite: the likeliest token's text.
        odds: its probability.
    """
    how = next(name for limit, name in _HOW_SURE if prob >= limit)
    sentences = [t(f"playground.it_was_{how}", prob=percent(prob))]
    if rank:
        said = t(
            "playground.it_preferred", token=as_word(favourite), prob=percent(odds)
        )
        sentences.append(said)
    return " ".join(sentences)
