"""What a picture claims, held against interventions."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

_T = TypeVar("_T")

# Interventions that a picture is held against, and the fewest that say anything.
N_CHECKED, LEAST = 50, 3
# Of the logit (or difference): parts below it are called neither right nor wrong.
MATTERS = 0.01


class Agreement(NamedTuple):
    """Of what is foretold with what is measured.

    Attributes:
        n: parts that were taken out.
        rank: Spearman's correlation.
        sign: of those that matter, the share foretold with the right sign; 1 for none.
        n_matter: how many matter: foretold or measured to be at least `MATTERS` of the
            logit.
    """

    n: int
    rank: float
    sign: float
    n_matter: int


def spread(parts: Sequence[_T]) -> list[_T]:
    """At most `N_CHECKED` of `parts`, at equal steps from the first to the last."""
    n = min(N_CHECKED, len(parts))
    places = np.linspace(0, len(parts) - 1, n).round().astype(int)
    return [parts[place] for place in places]


def agreement(
    foretold: Sequence[float], measured: Sequence[float], logit: float
) -> Agreement | None:
    """None for fewer than `LEAST` parts.

    Args:
        foretold: to be lost without each part.
        measured: the same, found by taking it out.
        logit: what they are parts of.
    """
    if len(foretold) < LEAST:
        return None
    x, y = np.array(foretold), np.array(measured)
    matters = np.maximum(abs(x), abs(y)) >= MATTERS * abs(logit)
    right = (x * y >= 0)[matters]
    rank = float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])
    sign = float(right.mean()) if len(right) else 1.0
    return Agreement(len(x), rank, sign, int(matters.sum()))


def _ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()
