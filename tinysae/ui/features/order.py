"""The orders in which features are listed; the clearest first, unless asked."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinysae.features.names.labels import SURE_FROM, Label, sureness

Sort = Literal["clearest", "strongest", "frequent", "rare", "number"]
SORTS: tuple[Sort, ...] = get_args(Sort)

# Shares of tokens between which a feature is met often enough to be checked, and seldom
# enough to be about something.
USUAL = (0.001, 0.03)
# What a factor of ten beyond them costs, as a part of an F1; and what the second, third
# ... feature of the same concept costs, so that the first screen shows many concepts.
FAR, AGAIN = 0.3, 0.15


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
    two: by how sure its name is, words before punctuation; or, without rules, named by
    a concept, else by a guess, else by words, else by punctuation."""
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
    """Of its name's two scores the mean; of a label without a rule its F1."""
    if label.clauses:
        return ((label.detection or 0.0) + (label.firing_f1 or 0.0)) / 2
    return label.f1 or 0.0


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
        return len(SURE_FROM) - sureness(label) + (not has_word)
    if label is None or label.kind == "tokens":
        return 2 if has_word else 3
    if label.kind == "explained":
        return 1
    return 0 if has_word else 1
