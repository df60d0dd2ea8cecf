"""Noticing a training that has left for good, before it has wasted an evening."""

import math
from collections import deque
from collections.abc import Callable

# Steps over which the error is averaged: one bad batch is no divergence.
WINDOW = 10
# An L1 penalty that grows also lifts the error, and one that is too strong lifts it to
# the variance of the activations (every feature off). Only a broken step goes beyond.
TIMES_BEST, TIMES_VARIANCE = 10.0, 2.0
# A state this much worse than the best is not kept as a good one.
TIMES_BEST_TO_KEEP = 4.0


class DivergenceWatch:
    """Sees the error of every step; says when there is no way back."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._best = math.inf
        self._is_odd = False

    @property
    def times_best(self) -> float:
        """The present error, averaged, over the best there was."""
        if len(self._recent) < WINDOW or not self._best:
            return 1.0
        return sum(self._recent) / WINDOW / self._best

    @property
    def is_healthy(self) -> bool:
        """Whether the present state is worth keeping."""
        return self.times_best <= TIMES_BEST_TO_KEEP and not self._is_odd

    def has_diverged(
        self, loss: float, mse: float, variance: Callable[[], float]
    ) -> bool:
        """Whether the step with this `loss` and `mse` shows a broken training.

        It does when the loss is no number, or when the error, averaged over `WINDOW`
        steps, is far above both its best and the activations' `variance` (in the
        error's units; asked for only when it matters). An error far above the best
        that is within its own batch's variance is left out: there are models in which a
        token in thousands has an activation a hundred times as long as any other.
        """
        if not math.isfinite(loss):
            return True
        is_far = mse > TIMES_BEST * self._best
        self._is_odd = is_far and mse <= TIMES_VARIANCE * variance()
        if self._is_odd:
            return False
        self._recent.append(mse)
        if len(self._recent) == WINDOW:
            self._best = min(self._best, sum(self._recent) / WINDOW)
        return (
            self.times_best > TIMES_BEST
            and self.times_best * self._best > TIMES_VARIANCE * variance()
        )
