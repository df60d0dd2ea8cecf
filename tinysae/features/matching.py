"""Two SAEs of one place in a model: which features both of them found.

Two features are alike as their decoder directions are: by their cosine. Every feature
of either SAE is one of four things, the first that holds:

    both    it and one of the other's are each other's nearest, with a cosine of at
            least `BOTH`
    split   at least two of the other's lie near to it (`NEAR`): they share its meaning
    near    one of the other's does
    only    none does: the other SAE has not found it

Random directions are no match: in d_in dimensions their cosines are about
1/sqrt(d_in), and the largest of ten thousand below 4/sqrt(d_in), 0.25 in 256.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

BOTH: Final = 0.7
"""Cosine from which a feature counts as found by both: this project's bound, for two
that choose each other. Paulo & Belrose, "Sparse autoencoders trained on the same data
learn different features" (2025, arXiv:2501.16615), pair features one to one with the
least cost instead, and found 30 % shared by two seeds of an SAE of 131K."""
NEAR: Final = 0.5
"""Cosine from which a feature lies near to another: a direction that is the sum of four
orthogonal ones of one length has this cosine with each."""
MOST_NEAR: Final = 8
"""Of the other SAE's features near to one, those that are kept: the nearest."""
ROWS: Final = 512
"""Features at once: of 16,384 others, their cosines are 32 MB."""

Floats = NDArray[np.float32]
Fate = Literal["both", "split", "near", "only"]
FATES: Final[tuple[Fate, ...]] = ("both", "split", "near", "only")


class Near(NamedTuple):
    """A feature of the other SAE, and the cosine of the two directions."""

    feature: int
    cosine: float


@dataclass(frozen=True, eq=False)
class Side:
    """What became of one SAE's features in the other.

    nearest [d_sae]: the other's feature with the largest cosine; cosine [d_sae]: that;
    is_mutual [d_sae]: whether each is the other's nearest; near: of those that have
    any, the other's with a cosine of at least `NEAR`, the nearest first.
    """

    nearest: NDArray[np.int32]
    cosine: Floats
    is_mutual: NDArray[np.bool_]
    near: dict[int, list[Near]]

    def fates(self) -> NDArray[np.int8]:
        """[d_sae]: places in `FATES`."""
        n_near = np.zeros(len(self.cosine), np.int64)
        for feature, near in self.near.items():
            n_near[feature] = len(near)
        is_both = self.is_mutual & (self.cosine >= BOTH)
        rest = np.where(n_near >= 2, 1, np.where(n_near == 1, 2, 3))
        return np.where(is_both, 0, rest).astype(np.int8)

    def of_fate(self, fate: Fate) -> NDArray[np.int64]:
        """Its features with that fate, the largest cosine first."""
        found = np.flatnonzero(self.fates() == FATES.index(fate))
        return found[np.argsort(-self.cosine[found], kind="stable")]

    def counts(self) -> dict[Fate, int]:
        counted = np.bincount(self.fates(), minlength=len(FATES)).tolist()
        return dict(zip(FATES, counted, strict=True))


@dataclass(frozen=True, eq=False)
class Matching:
    """Two SAEs' features, matched; `sides` has one's and the other's."""

    sides: tuple[Side, Side]

    @property
    def n_both(self) -> int:
        """Pairs of features that both found."""
        return self.sides[0].counts()["both"]

    @property
    def agreement(self) -> float:
        """The share of the smaller SAE's features that both found."""
        return self.n_both / min(len(side.cosine) for side in self.sides)

    @property
    def mean_max_cosine(self) -> float:
        """The mean over the first one's features of the cosine with the nearest: "MMCS"
        of Sharkey, Braun & Millidge, "Taking features out of superposition with sparse
        autoencoders" (2022)."""
        return float(self.sides[0].cosine.mean())


def match(
    one: Floats,
    other: Floats,
    progress: Callable[[float], object] | None = None,
) -> Matching:
    """Matches the decoders of two SAEs.

    Args:
        one, other: `[d_sae, d_in]`, of equal d_in; a direction of zeros, or one that is
            not finite, lies near to none.
        progress: hears the share that is done.

    Raises:
        ValueError: they are of different widths, or one has no feature.
    """
    if one.shape[1:] != other.shape[1:] or not (len(one) and len(other)):
        raise ValueError("directions of two spaces, or none")
    rows, columns = _Best(len(one)), _Best(len(other))
    first, second = _unit(one), _unit(other)
    for begin in range(0, len(first), ROWS):
        cosines = first[begin : begin + ROWS] @ second.T
        rows.add(cosines, begin)
        columns.add_columns(cosines, begin)
        if progress is not None:
            progress(min(1.0, (begin + ROWS) / len(first)))
    return Matching((_side(rows, columns), _side(columns, rows)))


class _Best:
    """What is known of one side's features while blocks of cosines come."""

    def __init__(self, n: int) -> None:
        self.nearest = np.zeros(n, np.int32)
        self.cosine = np.full(n, -np.inf, np.float32)
        self.near: dict[int, list[Near]] = {}

    def add(self, cosines: Floats, begin: int) -> None:
        """All cosines of its features from `begin` on."""
        nearest = cosines.argmax(1)
        at = slice(begin, begin + len(cosines))
        self.nearest[at] = nearest
        self.cosine[at] = cosines[np.arange(len(cosines)), nearest]
        self._add_near(cosines, begin, 0)

    def add_columns(self, cosines: Floats, begin: int) -> None:
        """The cosines of all its features with the other's from `begin` on."""
        nearest = cosines.argmax(0)
        largest = cosines[nearest, np.arange(cosines.shape[1])]
        # Of equal ones the first, as where they come in one piece.
        is_nearer = largest > self.cosine
        self.nearest[is_nearer] = nearest[is_nearer] + begin
        self.cosine[is_nearer] = largest[is_nearer]
        self._add_near(cosines.T, 0, begin)

    def _add_near(self, cosines: Floats, begin: int, other_begin: int) -> None:
        for own in np.flatnonzero((cosines >= NEAR).any(1)).tolist():
            row = cosines[own]
            found = np.flatnonzero(row >= NEAR)
            found = found[np.argsort(-row[found], kind="stable")][:MOST_NEAR]
            near = [Near(int(at) + other_begin, float(row[at])) for at in found]
            kept = [*self.near.get(own + begin, ()), *near]
            kept.sort(key=lambda each: -each.cosine)
            self.near[own + begin] = kept[:MOST_NEAR]


def _side(own: _Best, other: _Best) -> Side:
    is_mutual = other.nearest[own.nearest] == np.arange(len(own.nearest))
    return Side(own.nearest, np.clip(own.cosine, -1, 1), is_mutual, own.near)


def _unit(directions: Floats) -> Floats:
    """`directions`, each of length 1, or of 0 if it has none."""
    wide = np.where(np.isfinite(directions), directions, 0).astype(np.float32)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.divide(wide, np.where(norms > 0, norms, 1), dtype=np.float32)
