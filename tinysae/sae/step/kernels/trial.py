"""Whether the compiled loops compute what they should."""

import numpy as np

from tinysae.sae.step.kernels import finding, sums
from tinysae.sae.step.kernels.adam import adam


def try_kernels() -> None:
    """Compiles every kernel, by a tiny computation whose result is checked.

    Raises:
        ArithmeticError: the result is wrong.
    """
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((n, 5), dtype=np.float32) for n in (130, 3))
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    room, first = 3 * len(x), np.zeros(4, np.int64)
    token, value = np.empty(room, np.int32), np.empty(room, np.float32)
    product = np.ascontiguousarray(w @ x.T)
    finding.compress(product, zero, one, zero, token, value, first)
    out = np.zeros_like(x)
    sums.decode(first, token, value, w, out, 0, len(x))
    pulled, g = np.empty_like(value), np.empty_like(w)
    sums.pull(first, token, value, x, w, zero, pulled, g)
    sums.push(first, token, pulled, zero, x, g, np.empty_like(zero))
    sums.row_sums(first, value, np.empty_like(zero))
    sums.row_squares(w, np.empty_like(zero))
    kth, ties = finding.kth_largest(value[: first[-1]], 2)
    finding.keep_largest(first.copy(), token.copy(), value.copy(), kth, ties)
    adam(*(a.reshape(-1).copy() for a in (w, w * w, w * w, g)), *[0.5] * 6)
    rows = np.empty((len(x), 3), np.int32), np.empty((len(x), 3), np.float32)
    count = np.empty(len(x), np.int64)
    finding.topk_rows(product.T.copy(), zero, one, 2, 0.0, *rows, count)
    begins = np.zeros(4, np.int64)
    n = int(count.sum())
    finding.to_columns(*rows, count, begins, token[:n].copy(), value[:n].copy())
    if not np.allclose(out, np.maximum(x @ w.T, 0) @ w, rtol=1e-4, atol=1e-4):
        raise ArithmeticError("a kernel's result is wrong")
