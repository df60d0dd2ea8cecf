"""A step of BatchTopK: the largest activations of a whole batch are kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysae.sae.step.kernels import finding
from tinysae.sae.step.pairs import Floats, Pairs
from tinysae.sae.step.topk import TopKStep

# The floor that spares most pairs, as a share of the last step's threshold.
_PREFILTER = 0.8


class BatchTopKStep(TopKStep):
    """As TopK, but the int(k n) largest relu(s) of the whole batch are kept.

    Only pairs above a floor somewhat below the last step's threshold are collected and
    ranked; should there be too few of them, all are. Of equal values at the border
    those of the lowest features stay.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # A guess that costs time when it is wrong and changes no result: a resumed
        # training may do without it.
        self._last = 0.0

    def _select(self, dead: NDArray[np.int64], dead_acts: Floats) -> list[Pairs]:
        bias = self._w["b_enc"]

        def see(rows: slice, product: Floats) -> None:
            a, b = np.searchsorted(dead, [rows.start, rows.stop])
            mine = dead[a:b]
            acts = product[mine - rows.start] + bias[mine, None]
            dead_acts[:, a:b] = (acts * self._scale[mine, None]).T

        k = int(self._cfg.k * len(self._x))
        for floor in (_PREFILTER * self._last, 0.0):
            floors = np.full(self._d_sae, floor, np.float32)
            pairs = self._encode(bias, self._scale, floors, see)
            if sum(len(piece.token) for piece in pairs) >= k:
                break
        pairs = self._largest(pairs, k)
        self._follow(pairs)
        return pairs

    def _largest(self, pairs: list[Pairs], k: int) -> list[Pairs]:
        if sum(len(piece.token) for piece in pairs) <= k or not k:
            return pairs if k else [_none(piece) for piece in pairs]
        values = np.concatenate([piece.value for piece in pairs])
        kth, ties = finding.kth_largest(values, k)
        kept: list[Pairs] = []
        for begin, first, token, value in pairs:
            n, ties = finding.keep_largest(first, token, value, kth, ties)
            kept.append(Pairs(begin, first, token[:n], value[:n]))
        return kept

    def _follow(self, pairs: list[Pairs]) -> None:
        """`update_topk_threshold`: the moving average of the smallest kept value."""
        import torch

        smallest = min((p.value.min() for p in pairs if len(p.value)), default=None)
        if smallest is None or not np.isfinite(smallest):
            return
        self._last, rate = float(smallest), self._cfg.topk_threshold_lr
        least = torch.tensor(self._last, dtype=torch.double)
        self._sae.topk_threshold = (1 - rate) * self._sae.topk_threshold + rate * least


def _none(piece: Pairs) -> Pairs:
    return Pairs(
        piece.begin, np.zeros_like(piece.first), piece.token[:0], piece.value[:0]
    )
