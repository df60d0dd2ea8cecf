"""Which tokens each feature fires on: sums over the corpus by feature and token."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tinysae.features.statistics import FloatArray, IntArray


class TopTokens(NamedTuple):
    """The tokens each feature fires on most, by summed activation, largest first.

    token, mass, n_fired [d_sae, <= n]; where there is no further token, token is -1.
    """

    token: NDArray[np.int32]
    mass: FloatArray
    n_fired: IntArray


class TokenSums(Protocol):
    """For each feature and token: the sum of its activations and how often it fired."""

    is_exact: bool
    """Whether every sum is whole."""

    def add(self, feature: IntArray, token: IntArray, value: FloatArray) -> None:
        """Takes the active pairs of a batch, each [n]: feature, its token, value."""
        ...

    def top(self, n: int) -> TopTokens:
        """The `n` largest sums of each feature; of equals, the smaller token first."""
        ...


# 12 bytes an entry: 400 MB.
DENSE_LIMIT = 1 << 25


def token_sums(d_sae: int, d_vocab: int) -> TokenSums:
    """A dense table where it fits in memory, else one that keeps the largest sums."""
    if d_sae * d_vocab <= DENSE_LIMIT:
        return DenseTokenSums(d_sae, d_vocab)
    return SparseTokenSums(d_sae, d_vocab)


class DenseTokenSums:
    """A table of every feature and token."""

    is_exact = True
    _ROWS_AT_ONCE = 256

    def __init__(self, d_sae: int, d_vocab: int) -> None:
        self._mass = np.zeros((d_sae, d_vocab), dtype=np.float64)
        self._count = np.zeros((d_sae, d_vocab), dtype=np.int32)

    def add(self, feature: IntArray, token: IntArray, value: FloatArray) -> None:
        flat = feature * self._mass.shape[1] + token
        # Same types on both sides: numpy's fast path, 20 times the other.
        np.add.at(self._mass.ravel(), flat, value.astype(np.float64))
        np.add.at(self._count.ravel(), flat, np.ones(len(flat), dtype=np.int32))

    def top(self, n: int) -> TopTokens:
        n = min(n, self._mass.shape[1])
        parts = [
            np.argsort(
                -self._mass[start : start + self._ROWS_AT_ONCE], axis=1, kind="stable"
            )[:, :n]
            for start in range(0, len(self._mass), self._ROWS_AT_ONCE)
        ]
        token = np.concatenate(parts)
        mass = np.take_along_axis(self._mass, token, axis=1)
        count = np.take_along_axis(self._count, token, axis=1)
        return TopTokens(
            np.where(count > 0, token, -1).astype(np.int32),
            mass.astype(np.float32),
            count.astype(np.int64),
        )


class SparseTokenSums:
    """Only pairs that occurred, sorted; exact while they fit.

    When more than `limit` different pairs have occurred, every feature keeps the
    `kept_tokens` largest sums it has so far (and `is_exact` turns False): a sum that
    was dropped starts again from zero, so that what is reported is at most too small.
    """

    def __init__(
        self, d_sae: int, d_vocab: int, *, limit: int = 1 << 24, kept_tokens: int = 256
    ) -> None:
        self.is_exact = True
        self._d_sae = d_sae
        self._d_vocab = d_vocab
        self._limit = max(limit, 2 * d_sae * kept_tokens)
        self._kept_tokens = kept_tokens
        self._sums = _PairSums.empty()
        self._new: list[_PairSums] = []
        self._n_new = 0

    def add(self, feature: IntArray, token: IntArray, value: FloatArray) -> None:
        part = _PairSums(
            feature * self._d_vocab + token,
            value.astype(np.float64),
            np.ones(len(value), dtype=np.int64),
        ).summed()
        self._new.append(part)
        self._n_new += len(part.key)
        if self._n_new > max(self._limit // 8, len(self._sums.key)):
            self._merge()

    def _merge(self) -> None:
        self._sums = _PairSums.joined([self._sums, *self._new]).summed()
        self._new = []
        self._n_new = 0
        if len(self._sums.key) > self._limit:
            self.is_exact = False
            order, rank = self._by_mass()
            kept = np.sort(order[rank < self._kept_tokens])
            self._sums = self._sums.at(kept)

    def _by_mass(self) -> tuple[IntArray, IntArray]:
        """Indices by feature and falling mass; each one's rank in its feature."""
        feature = self._sums.key // self._d_vocab
        # lexsort is stable and keys are sorted: of equals, the smaller token first.
        order = np.lexsort((-self._sums.mass, feature))
        first = np.searchsorted(feature, np.arange(self._d_sae))
        return order, np.arange(len(order)) - first[feature[order]]

    def top(self, n: int) -> TopTokens:
        self._merge()
        n = min(n, self._d_vocab, self._kept_tokens)
        order, rank = self._by_mass()
        order, rank = order[rank < n], rank[rank < n]
        feature, token = np.divmod(self._sums.key[order], self._d_vocab)
        shape = (self._d_sae, n)
        top = TopTokens(
            np.full(shape, -1, dtype=np.int32),
            np.zeros(shape, dtype=np.float32),
            np.zeros(shape, dtype=np.int64),
        )
        top.token[feature, rank] = token
        top.mass[feature, rank] = self._sums.mass[order]
        top.n_fired[feature, rank] = self._sums.n_fired[order]
        return top


class _PairSums(NamedTuple):
    """Sums by key; each [n]."""

    key: IntArray
    mass: NDArray[np.float64]
    n_fired: IntArray

    @classmethod
    def empty(cls) -> "_PairSums":
        none = np.empty(0, dtype=np.int64)
        return cls(none, np.empty(0, dtype=np.float64), none)

    @classmethod
    def joined(cls, parts: list["_PairSums"]) -> "_PairSums":
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def at(self, index: IntArray) -> "_PairSums":
        return _PairSums(self.key[index], self.mass[index], self.n_fired[index])

    def summed(self) -> "_PairSums":
        """One entry a key, keys rising."""
        if not len(self.key):
            return self
        ordered = self.at(np.argsort(self.key, kind="stable"))
        is_first = np.diff(ordered.key, prepend=ordered.key[0] - 1) != 0
        starts = np.flatnonzero(is_first)
        return _PairSums(
            ordered.key[starts],
            np.add.reduceat(ordered.mass, starts),
            np.add.reduceat(ordered.n_fired, starts),
        )
