"""The functions of `sae.step.kernels` without numba: numpy and torch's own kernels.

Same arguments, same results but for rounding and, in `topk_rows`, for values that are
exactly equal at the border. `embedding_bag` is the primitive: a sum of some rows of a
table, each times a weight.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import embedding_bag

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The density above which SAELens's dense step takes less time than this.
DENSE_ABOVE = 0.13
# Pairs at once where rows are gathered: what is in between stays in the cache.
_PAIRS_AT_ONCE = 2048


def compress(product, bias, scale, floor, token, value, first):
    n_features, n = product.shape
    values = torch.from_numpy(product) + torch.from_numpy(bias)[:, None]
    values *= torch.from_numpy(scale)[:, None]
    is_kept = ~(values <= torch.from_numpy(floor)[:, None])
    counts = is_kept.sum(1).numpy()
    if token.shape[0] < counts.sum():
        return 0
    # numpy skips over runs of False; torch.nonzero takes eight times as long.
    flat = np.flatnonzero(is_kept.numpy())
    first[0] = 0
    np.cumsum(counts, out=first[1:])
    np.remainder(flat, n, out=token[: len(flat)], casting="unsafe")
    value[: len(flat)] = values.numpy().reshape(-1)[flat]
    return n_features


def topk_rows(product, bias, scale, k, bottom, feature, value, count):
    values = (torch.from_numpy(product) + torch.from_numpy(bias)).mul_(
        torch.from_numpy(scale)
    )
    top = values.topk(min(k, values.shape[1]), dim=1)
    best, where = top.values.numpy(), top.indices.numpy()
    is_kept = ~(best <= bottom)
    # They come sorted, so that those kept come first.
    np.sum(is_kept, axis=1, out=count)
    feature[:, : best.shape[1]] = where
    value[:, : best.shape[1]] = best


def to_columns(feature, value, count, first, token, values):
    is_there = np.arange(feature.shape[1]) < count[:, None]
    owner, column = np.nonzero(is_there)
    features = feature[owner, column]
    order = np.argsort(features, kind="stable")
    token[:] = owner[order]
    values[:] = value[owner, column][order]
    first[1:] = np.cumsum(np.bincount(features, minlength=first.shape[0] - 1))


def kth_largest(value, k):
    # numpy sorts NaN to the end: on top, as it should be.
    kth = np.partition(value, value.shape[0] - k)[value.shape[0] - k]
    return kth, k - int((value > kth).sum() + np.isnan(value).sum())


def keep_largest(first, token, value, kth, ties):
    n = int(first[-1])
    is_tie = value[:n] == kth
    is_kept = ~(value[:n] < kth) & ~(is_tie & (np.cumsum(is_tie) > ties))
    kept = np.flatnonzero(is_kept)
    token[: len(kept)], value[: len(kept)] = token[kept], value[kept]
    first[:] = np.searchsorted(kept, first)
    return len(kept), ties - int(is_tie[kept].sum())


def decode(first, token, value, weights, out, start, stop):
    begin, end = int(first[0]), int(first[-1])
    tokens = token[begin:end]
    counts = np.diff(first)
    # By token, for which a bag each is one row of the output.
    order = np.argsort(_short(tokens, out.shape[0]), kind="stable")
    features = np.repeat(np.arange(len(counts), dtype=np.int64), counts)[order]
    offsets = np.zeros(out.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(tokens, minlength=out.shape[0]), out=offsets[1:])
    target = torch.from_numpy(out)[:, start:stop]
    table = torch.from_numpy(weights)[:, start:stop]
    target += _bags(features, offsets, value[begin:end][order], table)


def pull(first, token, value, error, weights, decay, pulled, gradient):
    begin, end = int(first[0]), int(first[-1])
    features = np.repeat(np.arange(len(first) - 1), np.diff(first))
    errors, rows = torch.from_numpy(error), torch.from_numpy(weights)
    tokens, where = torch.from_numpy(token[begin:end]), torch.from_numpy(features)
    found = torch.from_numpy(pulled)[begin:end]
    for p in range(0, end - begin, _PAIRS_AT_ONCE):
        here = slice(p, p + _PAIRS_AT_ONCE)
        # Read twice while in the cache, written back never.
        found[here] = torch.linalg.vecdot(errors[tokens[here]], rows[where[here]])
    target = torch.from_numpy(gradient)
    target.copy_(_bags(token[begin:end], first - begin, value[begin:end], errors))
    target.addcmul_(torch.from_numpy(decay)[:, None], rows)


def push(first, token, value, lift, inputs, gradient, total):
    begin, end = int(first[0]), int(first[-1])
    factors = value[begin:end] + np.repeat(lift, np.diff(first))
    table = torch.from_numpy(inputs)
    torch.from_numpy(gradient).copy_(
        _bags(token[begin:end], first - begin, factors, table)
    )
    row_sums(first - begin, factors, total)


def row_sums(first, value, out):
    begin, end = int(first[0]), int(first[-1])
    counts = np.diff(first)
    out[:] = 0
    if end > begin:
        # Rows without pairs would be given their neighbour's first value.
        there = counts > 0
        out[there] = np.add.reduceat(value[begin:end], first[:-1][there] - begin)


def row_squares(matrix, out):
    rows = torch.from_numpy(matrix)
    torch.linalg.vecdot(rows, rows, out=torch.from_numpy(out))


def adam(weights, mean, square, gradient, clip, rate, keep1, keep2, correction, eps):
    w, m, v, g = (torch.from_numpy(a) for a in (weights, mean, square, gradient))
    # In pieces that stay in the cache: one pass over memory, as it were.
    for at in range(0, w.shape[0], 1 << 16):
        here = slice(at, at + (1 << 16))
        part = g[here] * clip
        m[here].lerp_(part, 1 - keep1)
        v[here].mul_(keep2).addcmul_(part, part, value=1 - keep2)
        w[here].addcdiv_(
            m[here], v[here].sqrt().mul_(correction).add_(eps), value=-rate
        )


def _bags(
    index: "NDArray[np.integer]",
    offsets: "NDArray[np.int64]",
    factors: "NDArray[np.float32]",
    table: torch.Tensor,
) -> torch.Tensor:
    """Row b: the sum of factors[i] * table[index[i]] for offsets[b] <= i < the next."""
    return embedding_bag(
        torch.from_numpy(np.ascontiguousarray(index, dtype=np.int64)),
        table,
        torch.from_numpy(offsets),
        mode="sum",
        per_sample_weights=torch.from_numpy(factors),
        include_last_offset=True,
    )


def _short(tokens: "NDArray[np.int32]", n: int) -> "NDArray[np.integer]":
    """Numbers below n as a type that numpy sorts by radix, where there is one."""
    return tokens.astype(np.uint16) if n <= 1 << 16 else tokens
