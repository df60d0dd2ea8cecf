"""What one pass over a corpus adds up for every feature at once.

Each accumulator takes the active (token, feature) pairs of a batch and needs nothing
else, so its cost follows the sparsity, not d_sae. Results do not depend on how the
corpus is cut into batches, but for the last bits of sums.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


class ActivePairs(NamedTuple):
    """The non-zero activations of a batch [chunk, pos], in the order of `row`.

    row [n]: chunk * context_size + pos, within the batch; feature [n]; value [n] > 0.
    """

    row: IntArray
    feature: IntArray
    value: FloatArray


class Totals:
    """Firing count, sum and maximum of every feature's activations."""

    def __init__(self, d_sae: int) -> None:
        self.n_fired = np.zeros(d_sae, dtype=np.int64)
        self.sum = np.zeros(d_sae, dtype=np.float64)
        self.max = np.zeros(d_sae, dtype=np.float32)

    def add(self, pairs: ActivePairs) -> None:
        """Takes the active pairs of a batch."""
        d_sae = len(self.n_fired)
        self.n_fired += np.bincount(pairs.feature, minlength=d_sae)
        self.sum += np.bincount(pairs.feature, weights=pairs.value, minlength=d_sae)
        np.maximum.at(self.max, pairs.feature, pairs.value)

    def mean_when_active(self) -> FloatArray:
        """[d_sae]; 0 for a feature that never fired."""
        return (self.sum / np.maximum(self.n_fired, 1)).astype(np.float32)


class Histograms:
    """An exact histogram of every feature's activations, from 0, in equal bins.

    A feature's bins are 2**exponent wide, with the smallest exponent that holds its
    maximum. When a larger activation comes, neighbouring bins are merged and the width
    doubles: bins of a power of two nest, so that no count is ever put in the wrong
    one, whatever the order of the activations.
    """

    N_BINS = 64
    _BITS = N_BINS.bit_length() - 1
    # Below every float32's: the first activation sets the real one.
    _UNSET = -1000

    def __init__(self, d_sae: int) -> None:
        self.counts = np.zeros((d_sae, self.N_BINS), dtype=np.int64)
        self._exponent = np.full(d_sae, self._UNSET, dtype=np.int32)

    @property
    def bin_width(self) -> NDArray[np.float64]:
        """[d_sae]; 0 for a feature that never fired."""
        return np.where(
            self._exponent == self._UNSET, 0.0, np.ldexp(1.0, self._exponent)
        )

    def add(self, pairs: ActivePairs) -> None:
        """Takes the active pairs of a batch."""
        d_sae = len(self.counts)
        largest = np.zeros(d_sae, dtype=np.float32)
        np.maximum.at(largest, pairs.feature, pairs.value)
        # frexp: largest < 2**power, so that the last bin ends above it.
        power = np.frexp(largest)[1]
        needed = np.where(largest > 0, power - self._BITS, self._UNSET)
        self._widen(np.maximum(needed, self._exponent))
        # Multiplying by a power of two is exact.
        per_width = np.ldexp(1.0, -self._exponent)
        bins = (pairs.value * per_width[pairs.feature]).astype(np.int64)
        flat = pairs.feature * self.N_BINS + bins
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(
            self.counts.shape
        )

    def _widen(self, exponent: NDArray[np.int32]) -> None:
        shift = np.minimum(exponent - self._exponent, self._BITS)
        for amount in np.unique(shift[shift > 0]):
            rows = np.flatnonzero(shift == amount)
            merged = self.counts[rows].reshape(len(rows), -1, 1 << amount).sum(-1)
            self.counts[rows] = 0
            self.counts[rows, : merged.shape[1]] = merged
        self._exponent = exponent.astype(np.int32)
