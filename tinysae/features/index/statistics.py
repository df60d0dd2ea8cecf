"""What an index says of every feature's firing, from all pairs of a band of features.

Everything is exact and a pure function of the pairs: how the corpus was cut into
batches, shards and bands leaves no trace but in the last bits of the activations.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.features.index import kernels
from tinysae.features.index.pair_store import Band
from tinysae.features.index.records import N_BINS, N_GROUPS

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

# A token on which a feature fired less often says nothing about precision.
LEAST_FIRED = 5


@dataclass(frozen=True)
class Corpus:
    """What was read: tokens [n_positions], how often each of the vocabulary occurs in
    them [d_vocab], and the length of a context."""

    tokens: NDArray[np.integer]
    counts: IntArray
    context_size: int


class Sampling(NamedTuple):
    """How many contexts and tokens are kept of a feature; the seed of what is drawn."""

    contexts: int
    contexts_per_bin: int
    tokens: int
    seed: int


class Totals(NamedTuple):
    """Firing count, sum, maximum and histogram of activations: n_fired, sum, max [n],
    bin_width [n] (0 where nothing fired), bin_counts [n, N_BINS] from 0 on."""

    n_fired: IntArray
    sum: NDArray[np.float64]
    max: FloatArray
    bin_width: NDArray[np.float64]
    bin_counts: IntArray

    def mean_when_active(self) -> FloatArray:
        """[n]; 0 for a feature that never fired."""
        return (self.sum / np.maximum(self.n_fired, 1)).astype(np.float32)


class TopTokens(NamedTuple):
    """Tokens that each feature fires on, the first the most by some measure.

    token, mass (summed activation), n_fired [n, k]; -1 and 0 where there is no further.
    """

    token: NDArray[np.int32]
    mass: FloatArray
    n_fired: IntArray


class Contexts(NamedTuple):
    """Kept contexts of each feature: its strongest, then a sample of each group's.

    chunk, position [n, k]: which chunk of the corpus, and the place in it; chunk is -1
    where there is none. n_active [n, k]: how many activations follow in
    active_position (in the chunk) and active_value, context after context.
    """

    chunk: NDArray[np.int32]
    position: NDArray[np.int32]
    n_active: NDArray[np.int32]
    active_position: NDArray[np.int32]
    active_value: FloatArray


class Entries(NamedTuple):
    """A band's sums by feature and token: those of feature j are
    first[j]:first[j + 1] in token, mass and n_fired."""

    first: IntArray
    token: NDArray[np.int32]
    mass: NDArray[np.float64]
    n_fired: NDArray[np.int32]


class BandStatistics(NamedTuple):
    """Everything about a band; score is what `FiringFeatures` ranks entries by."""

    begin: int
    totals: Totals
    by_mass: TopTokens
    by_precision: TopTokens
    contexts: Contexts
    entries: Entries
    score: FloatArray

    def without_entries(self) -> "BandStatistics":
        """The same without its entries, which are the one large part."""
        none = np.empty(0, np.int32)
        entries = Entries(none.astype(np.int64), none, none.astype(np.float64), none)
        return self._replace(entries=entries, score=self.score[:0].copy())


class FiringFeatures:
    """For each token the features that fire on it, the most telling first.

    Ranked by precision times mass share: the feature fires whenever the token comes,
    and on little else. Takes bands in the order of their features.
    """

    def __init__(self, d_vocab: int, n: int) -> None:
        self._score = np.zeros((d_vocab, n), np.float32)
        self.feature = np.full((d_vocab, n), -1, np.int32)
        self.mass = np.zeros((d_vocab, n), np.float64)
        self.n_fired = np.zeros((d_vocab, n), np.int64)

    def add(self, band: BandStatistics) -> None:
        """Takes the next band's sums."""
        first, token, mass, n_fired = band.entries
        kernels.keep_best(
            *(first, token, band.score, mass, n_fired, band.begin),
            *(self._score, self.feature, self.mass, self.n_fired),
        )


def band_statistics(band: Band, corpus: Corpus, sampling: Sampling) -> BandStatistics:
    """Everything about a band; memory follows the number of its pairs."""
    totals, sample = _totals(band, sampling)
    entries = _token_sums(band, corpus)
    owner = np.repeat(np.arange(len(totals.sum)), np.diff(entries.first))
    precision = entries.n_fired / corpus.counts[entries.token]
    score = (precision * entries.mass / totals.sum[owner]).astype(np.float32)
    often = np.where(entries.n_fired >= LEAST_FIRED, precision, 0)
    strongest = np.full((len(totals.sum), sampling.contexts), -1, np.int64)
    kernels.strongest(*band[1:], corpus.context_size, strongest)
    places = np.hstack([strongest, sample.reshape(len(sample), -1)])
    return BandStatistics(
        begin=band.begin,
        totals=totals,
        by_mass=_top(entries, entries.mass, entries.mass, sampling.tokens),
        by_precision=_top(entries, often, entries.mass, sampling.tokens),
        contexts=_contexts(band, places, corpus.context_size),
        entries=entries,
        score=score,
    )


def _totals(band: Band, sampling: Sampling) -> tuple[Totals, IntArray]:
    """Also the places of a sample of every group of bins [n, N_GROUPS, k]; -1: none.

    Bins are the power of two wide with which the maximum falls into the upper half of
    them: multiplying by it is exact, so that no activation is put in a wrong bin.
    """
    n = len(band.first) - 1
    total, largest = np.empty(n, np.float64), np.empty(n, np.float32)
    kernels.totals(band.first, band.value, total, largest)
    # frexp: largest < 2**power.
    exponent = np.frexp(largest)[1] - (N_BINS.bit_length() - 1)
    width = np.where(largest > 0, np.ldexp(1.0, exponent), 0.0)
    counts = np.zeros((n, N_BINS), np.int64)
    sample = np.full((n, N_GROUPS, sampling.contexts_per_bin), -1, np.int64)
    kernels.binned(
        *band[1:],
        np.ldexp(1.0, -exponent),
        *(band.begin, np.uint64(sampling.seed), counts, sample),
    )
    return Totals(np.diff(band.first), total, largest, width, counts), sample


def _token_sums(band: Band, corpus: Corpus) -> Entries:
    n_pairs = len(band.value)
    first = np.zeros(len(band.first), np.int64)
    token, n_fired = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32)
    mass = np.empty(n_pairs, np.float64)
    d_vocab = len(corpus.counts)
    kernels.token_sums(*band[1:], corpus.tokens, d_vocab, first, token, mass, n_fired)
    n = int(first[-1])
    return Entries(first, token[:n].copy(), mass[:n].copy(), n_fired[:n].copy())


def _top(
    entries: Entries,
    score: NDArray[np.float64],
    weight: NDArray[np.float64],
    n: int,
) -> TopTokens:
    kept = np.full((len(entries.first) - 1, n), -1, np.int64)
    kernels.largest(entries.first, score, weight, entries.token, kept)
    is_there = kept >= 0

    def taken(values: NDArray[Any], missing: int) -> NDArray[Any]:
        table = np.full(kept.shape, missing, values.dtype)
        table[is_there] = values[kept[is_there]]
        return table

    return TopTokens(
        taken(entries.token, -1),
        taken(entries.mass.astype(np.float32), 0),
        taken(entries.n_fired.astype(np.int64), 0),
    )


def _contexts(band: Band, places: IntArray, context_size: int) -> Contexts:
    begin, end = np.empty_like(places), np.empty_like(places)
    kernels.ranges(band.first, band.position, context_size, places, begin, end)
    at = np.zeros(places.shape, np.int64)
    is_there = places >= 0
    at[is_there] = band.position[places[is_there]]
    n_active = (end - begin).ravel()
    # Every context's begin ... end, one after the other.
    shift = begin.ravel() - (np.cumsum(n_active) - n_active)
    active = np.arange(n_active.sum()) + np.repeat(shift, n_active)
    return Contexts(
        np.where(is_there, at // context_size, -1).astype(np.int32),
        (at % context_size).astype(np.int32),
        n_active.reshape(places.shape).astype(np.int32),
        (band.position[active] % context_size).astype(np.int32),
        band.value[active],
    )
