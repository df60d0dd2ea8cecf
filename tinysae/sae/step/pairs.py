"""The pairs of a batch: the (token, feature) where an activation is not zero."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Pairs(NamedTuple):
    """The pairs of some consecutive features (see `sae.step.kernels`).

    Attributes:
        begin: the first of the features.
        first: [features + 1], places in the other two (its own may start above 0).
        token: [pairs]; value: [pairs].
    """

    begin: int
    first: NDArray[np.int64]
    token: NDArray[np.int32]
    value: Floats

    @property
    def end(self) -> int:
        return self.begin + len(self.first) - 1

    @property
    def rows(self) -> slice:
        return slice(self.begin, self.end)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pairs of each feature."""
        return np.diff(self.first)

    def between(self, begin: int, end: int) -> "Pairs":
        """Those of the features from `begin` to before `end`; shares the memory."""
        first = self.first[begin - self.begin : end - self.begin + 1]
        return self._replace(begin=begin, first=first)

    def each(self, per_feature: Floats) -> Floats:
        """A feature's number for each of its pairs; `per_feature` is [features]."""
        return np.repeat(per_feature, self.counts)


def split(pairs: Iterable[Pairs], edges: Iterable[int]) -> list[Pairs]:
    """The same pairs, so that no piece has features on both sides of an edge."""
    pieces: list[Pairs] = []
    edges = sorted(edges)
    for piece in pairs:
        inside = [e for e in edges if piece.begin < e < piece.end]
        ends = [piece.begin, *inside, piece.end]
        pieces += [piece.between(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    return pieces


def fired(pairs: list[Pairs]) -> NDArray[np.int64]:
    """[d_sae]: each feature's number of pairs."""
    return np.concatenate([piece.counts for piece in pairs])


def count_per_feature(piece: Pairs, is_counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Of each of the piece's features, how many pairs are counted."""
    n = len(piece.first) - 1
    owner = np.repeat(np.arange(n), piece.counts)
    return np.bincount(owner[is_counted], minlength=n)
