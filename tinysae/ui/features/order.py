"""The orders in which features are listed; the clearest first, unless asked."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinysae.data.storybook.words import KINDS
from tinysae.features.names.labels import SURE_FROM, Label, sureness

Sort = Literal["clearest", "strongest", "frequent", "rare", "number"]
SORTS: tuple[Sort, ...] = get_args(Sort)

# Shares of tokens between which a feature is met often enough to be checked, and seldom
# enough to be about something.
USUAL = (0.001, 0.03)
# What a factor of ten beyond them costs, as a part of an F1; and what the second, third
# ... feature of the same concept costs, so that the first screen shows many concepts;
# and what each thing more costs that the name has to say.
FAR, AGAIN, WORDY = 0.3, 0.15, 0.1

# What stories are about; the other kinds of words are how they are told.
_ABOUT = (
    *("names", "people", "animals", "things", "clothes", "food", "nature", "weather"),
    *("body", "looks", "feelings", "character", "time", "counting", "places"),
)
_THINGS = frozenset(concept for kind in _ABOUT for concept in KINDS[kind])


def in_order(
    table: pd.DataFrame, labels: Sequence[Label], sort: Sort
) -> NDArray[np.int64]:
    """Every feature of `table` (`FeatureIndex.table`), the first in `sort` first.

    Features that never fired come last, whatever they are sorted by but number.
    """
    number = np.arange(len(table))
    if sort == "number":
        return number
    density = table["density"].to_numpy()
    if sort == "clearest":
        key = _unclear(table, labels)
    elif sort == "strongest":
        key = -table["max_act"].to_numpy()
    else:
        key = density if sort == "rare" else -density
    return np.lexsort((number, key, density == 0))


def _unclear(table: pd.DataFrame, labels: Sequence[Label]) -> NDArray[np.float64]:
    """How far each feature is from being understood at a glance [d_sae], in tiers of
    two: by how sure its name is, things before other words, and those before
    punctuation; or, without rules, named by a concept, else by a guess, else by words,
    else by punctuation."""
    strange = FAR * _beyond(table["density"].to_numpy())
    tier = np.array(
        [
            2.0 * _tier(labels[at] if labels else None, tokens)
            for at, tokens in enumerate(table["top_tokens"])
        ]
    )
    sure = np.array([_sure(label) for label in labels] or np.zeros(len(table)))
    unclear = np.minimum(1.0 - sure + strange, 1.9)
    seen: Counter[str] = Counter()
    for feature in np.argsort(unclear, kind="stable").tolist():
        subject = _subject(labels[feature]) if labels else None
        if subject is not None:
            unclear[feature] = min(unclear[feature] + AGAIN * seen[subject], 1.95)
            seen[subject] += 1
    return tier + unclear


def _sure(label: Label) -> float:
    """Of its name's two scores the mean, less what makes the name long; of a label
    without a rule its F1."""
    if label.clauses:
        scores = (label.detection or 0.0) + (label.firing_f1 or 0.0)
        return max(0.0, scores / 2 - WORDY * (_n_said(label) - 1))
    return label.f1 or 0.0


def _n_said(label: Label) -> int:
    """Of how many things its short name tells."""
    return sum(
        len(clause.what)
        + len(clause.given[: label.n_given])
        + (clause.place != "anywhere")
        for clause in label.clauses[: label.n_clauses]
    )


def _subject(label: Label) -> str | None:
    """What its name is about, first of all."""
    return label.clauses[0].what[0] if label.clauses else label.concept


def _beyond(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many powers of ten a share of tokens lies outside of what is usual."""
    logs = np.log10(np.maximum(density, 1e-9))
    low, high = np.log10(USUAL)
    return np.maximum(low - logs, 0) + np.maximum(logs - high, 0)


def _tier(label: Label | None, tokens: Sequence[str]) -> int:
    has_word = any(letter.isalpha() for letter in "".join(tokens[:1]))
    if label is not None and label.clauses:
        unsure = 2 * (len(SURE_FROM) - sureness(label))
        return unsure + (0 if _is_of_things(label) else 1 if has_word else 2)
    if label is None or label.kind == "tokens":
        return 4 if has_word else 6
    if label.kind == "explained":
        return 2
    return 0 if has_word else 2


def _is_of_things(label: Label) -> bool:
    """Whether it lights up on things of one kind, as animals and not as “cat, he”."""
    first = label.clauses[0]
    return first.kind == "fires_on" and first.what[0] in _THINGS
