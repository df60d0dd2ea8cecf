"""A step of Matryoshka BatchTopK: dictionaries nested in one another."""

import numpy as np
from numpy.typing import NDArray

from tinysae.sae.step.batchtopk import BatchTopKStep
from tinysae.sae.step.pairs import Floats
from tinysae.sae.step.topk import Revival


class MatryoshkaStep(BatchTopKStep):
    """As BatchTopK, plus E |r|^2 of every narrower dictionary's reconstruction.

    A feature's error is the sum of those of all dictionaries that have it. With
    `use_matryoshka_aux_loss` dead features attempt the residual of their own level.
    """

    def _levels(self) -> list[int]:
        return list(self._cfg.matryoshka_widths)

    def _revive(
        self,
        dead: NDArray[np.int64],
        dead_acts: Floats,
        residuals: list[Floats],
    ) -> tuple[float, list[Revival]]:
        if not self._cfg.use_matryoshka_aux_loss:
            return super()._revive(dead, dead_acts, residuals)
        loss, revivals, begin = 0.0, [], 0
        for end, residual in zip(self._levels(), residuals, strict=True):
            a, b = np.searchsorted(dead, [begin, end])
            begin = end
            if a == b:
                continue
            acts = np.ascontiguousarray(dead_acts[:, a:b])
            more, revival = self._attempt(dead[a:b], acts, residual)
            loss += more
            revivals.append(revival)
        return loss, revivals
