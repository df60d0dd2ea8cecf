"""What an index says about a feature, as plain values; no I/O, no markup.

The texts are tokens of whatever was read: untrusted, to be escaped where shown.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

LogitKind = Literal["raw", "folded"]


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
    """How many tokens had an activation in each of equal bins starting at 0.

    edges [n_bins + 1], counts [n_bins]; bins above the maximum are left out.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


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


@dataclass(frozen=True)
class FeatureRecord:
    """One feature.

    density: n_fired / the index's n_tokens. mean_act: over the tokens on which it
    fired. promoted and suppressed: by kind of logit; "folded" is there when the model
    has a final LayerNorm.
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

    @property
    def is_dead(self) -> bool:
        """Whether it fired on none of the tokens that were read."""
        return self.n_fired == 0
