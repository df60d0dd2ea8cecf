"""What is said of a word that the model wrote or read, in a sentence or two."""

from tinysae.render.numbers import percent
from tinysae.render.visible import as_word
from tinysae.ui.shell.i18n import t

# From which probability on it was what.
_HOW_SURE = (
    (0.995, "certain"),
    (0.9, "sure"),
    (0.5, "likely"),
    (0.1, "maybe"),
    (0.0, "surprised"),
)
# Of a second choice that is worth a word.
_LEAST_ODDS = 0.01


def word_said(prob: float, rank: int, rival: str, odds: float) -> str:
    """How sure the model was of a word, and what it would rather have written.

    Args:
        prob: the word's probability.
        rank: how many were likelier.
        rival: the text of the likeliest other token.
        odds: its probability.
    """
    how = next(name for limit, name in _HOW_SURE if prob >= limit)
    sentences = [t(f"playground.it_was_{how}", prob=percent(prob))]
    if rank or odds >= _LEAST_ODDS:
        key = "playground.it_preferred" if rank else "playground.second_choice"
        sentences.append(t(key, token=as_word(rival), prob=percent(odds)))
    return " ".join(sentences)
