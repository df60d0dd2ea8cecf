"""The threads of a step, and what they compute in pieces."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from tinysae.sae.step.kernels import sums
from tinysae.sae.step.pairs import Floats

T = TypeVar("T")
R = TypeVar("R")

# Features a task, at most: its product with a batch of 4096 tokens is 8 MB, within
# reach of a core's cache.
FEATURES = 512
# A small SAE has fewer, so that there are some for every core; but multiplications
# enough (a millisecond's) that a thread is worth waking. As sums over pairs they are
# slower, each by itself.
_PIECES, _LEAST_PRODUCT, LEAST_SUM = 4, 1 << 25, 1 << 22


class Workers:
    """As many threads as torch has, with one of BLAS's each."""

    def __init__(self) -> None:
        import torch

        self.n = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            self.n, "sae", initializer=torch.set_num_threads, initargs=(1,)
        )

    def each(self, work: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
        """`work` on every piece; results in the pieces' order."""
        pieces = list(pieces)
        if self.n == 1 or len(pieces) < 2:
            return [work(piece) for piece in pieces]
        return list(self._pool.map(work, pieces))

    def row_squares(self, matrix: Floats) -> Floats:
        """|row|^2 of every row."""
        out = np.empty(len(matrix), np.float32)
        self.each(
            lambda rows: sums.row_squares(matrix[rows], out[rows]),
            blocks(len(matrix), FEATURES),
        )
        return out


def features_a_task(d_sae: int, n_tokens: int, d_in: int) -> int:
    """How many of an SAE's features are one piece of a step's work."""
    enough = -(-_LEAST_PRODUCT // (n_tokens * d_in))
    return min(FEATURES, max(-(-d_sae // _PIECES), enough))


def blocks(n: int, size: int) -> list[slice]:
    """0 ... n in slices of `size`."""
    return [slice(i, min(n, i + size)) for i in range(0, n, size)]
