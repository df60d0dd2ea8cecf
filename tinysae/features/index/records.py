"""What an index says about a feature, as plain values; no I/O, no markup.

The texts are tokens of whatever was read: untrusted, to be escaped where shown.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

LogitKind = Literal["raw", "folded"]

# Bins of a histogram of activations, and the groups of them that contexts are drawn
# from; bins of a histogram of logits.
N_BINS, N_GROUPS = 64, 8
N_LOGIT_BINS = 50


class TokenLogit(NamedTuple):
    """A token and how far one unit of the feature's activation moves its logit."""

    token: int
    text: str
    logit: float


class FiringToken(NamedTuple):
    """A token on which the feature fires.

    mass_share: this token's part of all the feature's activation. precision: the part
    of the token's occurrences on which the feature fired, `n_fired` of them.
    """

    token: int
    text: str
    mass_share: float
    precision: float
    n_fired: int


class Histogram(NamedTuple):
    """How many values lie in each of equal bins: edges [n_bins + 1], counts [n_bins].

    Of activations: of tokens; bins start at 0, and those above the maximum are left
    out. Of logits: of the vocabulary, from the smallest logit to the largest.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def logit_edges(
    low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The edges of equal bins from `low` [n] to `high` [n]: [n, N_LOGIT_BINS + 1]; bins
    of width where all logits are equal, as in `np.histogram`."""
    half = 0.5 * (low == high)
    begin, end = low.astype(np.float64) - half, high.astype(np.float64) + half
    return np.linspace(begin, end, N_LOGIT_BINS + 1, axis=-1)


class Context(NamedTuple):
    """A piece of the corpus in which the feature is strong.

    texts: joined, the text that was read. activations [context_size]; position: where
    the feature is strongest.
    """

    chunk: int
    position: int
    tokens: NDArray[np.int64]
    texts: list[str]
    activations: NDArray[np.float32]

    def window(self, radius: int) -> "Context":
        """The context cut down to `radius` tokens on either side of `position`."""
        first = max(0, self.position - radius)
        last = self.position + radius + 1
        return Context(
            self.chunk,
            self.position - first,
            self.tokens[first:last],
            self.texts[first:last],
            self.activations[first:last],
        )


class BinContexts(NamedTuple):
    """A range of the activation histogram, and some of what fell into it.

    n_fired: activations from `low` to below `high`. contexts: a uniform sample of them
    in random order, each around the sampled token, at its `position`.
    """

    low: float
    high: float
    n_fired: int
    contexts: list[Context]


class Neighbour(NamedTuple):
    """A feature whose decoder direction is near, and the cosine between the two."""

    feature: int
    cosine: float


class CoFiring(NamedTuple):
    """A feature that fires on the same tokens: on `n_both` of them both fire, which is
    the share `jaccard` of those on which either does."""

    feature: int
    n_both: int
    jaccard: float


class FeatureScore(NamedTuple):
    """A feature, and how far one unit of its activation moves the token's logit."""

    feature: int
    value: float


class TokenFeature(NamedTuple):
    """A feature that fires on the token; the figures are those of `FiringToken`."""

    feature: int
    n_fired: int
    precision: float
    mass_share: float


class Partners(NamedTuple):
    """The features that fire with each, by Jaccard, the most first.

    feature [d_sae, n], -1 where there is no further; jaccard [d_sae, n].
    """

    feature: NDArray[np.int32]
    jaccard: NDArray[np.float32]


class Heads(NamedTuple):
    """The first entries of an index's lists, for all its features and tokens at once.

    best [d_vocab, m]: the features that fire on the token best, as `firing_on` has
    them, and best_share [d_vocab, m], the token's share of each one's mass.
    tokens [d_sae, n]: the tokens on which the feature fires most, by mass, with their
    mass_share [d_sae, n]; promoted [d_sae, n]: those it pushes towards. -1 and share 0
    where there are no more.
    """

    best: NDArray[np.int32]
    best_share: NDArray[np.float32]
    tokens: NDArray[np.int32]
    mass_share: NDArray[np.float32]
    promoted: NDArray[np.int32]


@dataclass(frozen=True)
class FeatureRecord:
    """One feature.

    density: n_fired / the index's n_tokens. mean_act: over the tokens on which it
    fired. tokens: by mass. precise_tokens: by precision, of those on which it fired at
    least `statistics.LEAST_FIRED` times. promoted, suppressed and logit_histogram: by
    kind of logit; "folded" is there when the model has a final LayerNorm. contexts:
    the strongest, one a chunk. bin_contexts: the strongest range first; empty ranges
    are left out.
    """

    feature: int
    n_fired: int
    density: float
    mean_act: float
    max_act: float
    histogram: Histogram
    tokens: list[FiringToken]
    promoted: dict[LogitKind, list[TokenLogit]]
    suppressed: dict[LogitKind, list[TokenLogit]]
    contexts: list[Context]
    bin_contexts: list[BinContexts] = field(default_factory=list)
    neighbours: list[Neighbour] = field(default_factory=list)
    cofiring: list[CoFiring] = field(default_factory=list)
    logit_histogram: dict[LogitKind, Histogram] = field(default_factory=dict)
    precise_tokens: list[FiringToken] = field(default_factory=list)

    @property
    def is_dead(self) -> bool:
        """Whether it fired on none of the tokens that were read."""
        return self.n_fired == 0
