"""What `tinysae.features.index.kernels` compute, written again in numpy and scipy.

Same arguments, same results (of `token_sums`, in another order): what the compiled
loops are held against.
"""

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from tinysae.features.index import kernels


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is computed now is computed by the functions below."""
    for name, function in globals().items():
        if name in vars(kernels) and hasattr(function, "__code__"):
            monkeypatch.setattr(kernels, name, function)


def _owner(first):
    """Of each pair, its feature's number in the band."""
    return np.repeat(np.arange(len(first) - 1), np.diff(first))


def _rank(group):
    """Of each of sorted groups' members, its place in its group."""
    is_first = np.ones(len(group), dtype=bool)
    is_first[1:] = group[1:] != group[:-1]
    at = np.arange(len(group))
    return at - np.maximum.accumulate(np.where(is_first, at, 0))


def count_read(first, token, is_read, counts):
    kept = is_read[token[: first[-1]]]
    counts += np.bincount(_owner(first)[kept], minlength=len(counts))


def place_read(first, token, value, is_read, at, tokens, values):
    kept = np.flatnonzero(is_read[token[: first[-1]]])
    owner = _owner(first)[kept]
    place = at[owner] + _rank(owner)
    tokens[place], values[place] = token[kept], value[kept]
    at += np.bincount(owner, minlength=len(at))


def gather(first, token, value, base, at, position, values):
    owner = _owner(first)
    place = at[owner] + _rank(owner)
    position[place], values[place] = base + token.astype(np.int64), value
    at += np.diff(first)


def totals(first, value, total, largest):
    owner = _owner(first)
    total[:] = np.bincount(owner, weights=value, minlength=len(total))
    largest[:] = 0
    np.maximum.at(largest, owner, value)


def _mixed(key):
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def binned(first, position, value, per_width, begin, seed, counts, sample):
    owner = _owner(first)
    bins = (value.astype(np.float64) * per_width[owner]).astype(np.int64)
    n_bins, (_, n_groups, n_kept) = counts.shape[1], sample.shape
    flat = np.bincount(owner * n_bins + bins, minlength=counts.size)
    counts += flat.reshape(counts.shape)
    high = np.uint64(seed) ^ ((owner + begin).astype(np.uint64) << np.uint64(32))
    priority = _mixed(high ^ position.astype(np.uint64))
    group = owner * n_groups + bins // (n_bins // n_groups)
    order = np.lexsort((priority, group))
    rank = _rank(group[order])
    kept = rank < n_kept
    sample.reshape(-1, n_kept)[group[order[kept]], rank[kept]] = order[kept]


def strongest(first, position, value, context_size, kept):
    owner, context = _owner(first), position // context_size
    # Stable: of equals the earlier one, in a context and among contexts.
    order = np.lexsort((-value, context, owner))
    is_peak = np.ones(len(order), dtype=bool)
    is_peak[1:] = (np.diff(owner[order]) != 0) | (np.diff(context[order]) != 0)
    peaks = order[is_peak]
    peaks = peaks[np.lexsort((-value[peaks], owner[peaks]))]
    rank = _rank(owner[peaks])
    is_kept = rank < kept.shape[1]
    kept[owner[peaks[is_kept]], rank[is_kept]] = peaks[is_kept]


def ranges(first, position, context_size, place, begin, end):
    # One sorted sequence: all positions of a feature before those of the next.
    span = int(position.max()) + 2 * context_size if len(position) else 1
    keys = _owner(first) * span + position
    feature = np.arange(len(place))[:, None]
    at = position[np.maximum(place, 0)] if len(position) else np.zeros_like(place)
    start = feature * span + at // context_size * context_size
    begin[:] = np.where(place < 0, 0, np.searchsorted(keys, start))
    end[:] = np.where(place < 0, 0, np.searchsorted(keys, start + context_size))


def token_sums(first, position, value, corpus, d_vocab, entries, token, mass, n_fired):
    key = _owner(first) * d_vocab + corpus[position].astype(np.int64)
    keys, inverse = np.unique(key, return_inverse=True)
    n = len(keys)
    owner, token[:n] = np.divmod(keys, d_vocab)
    mass[:n] = np.bincount(inverse, weights=value, minlength=n)
    n_fired[:n] = np.bincount(inverse, minlength=n)
    entries[:] = np.searchsorted(owner, np.arange(len(entries)))


def largest(entries, score, weight, token, kept):
    owner = _owner(entries)
    order = np.lexsort((token, -weight, -score, owner))
    rank = _rank(owner[order])
    is_kept = (rank < kept.shape[1]) & (score[order] > 0)
    kept[owner[order[is_kept]], rank[is_kept]] = order[is_kept]


def keep_best(
    entries, token, score, mass, n_fired, begin, best, feature, masses, counts
):
    held = np.nonzero(best > 0)
    tokens = np.concatenate([held[0], token])
    new = (score, begin + _owner(entries), mass, n_fired)
    tables = (best, feature, masses, counts)
    columns = [
        np.concatenate([table[held], column])
        for table, column in zip(tables, new, strict=True)
    ]
    order = np.lexsort((columns[1], -columns[0], tokens))
    rank = _rank(tokens[order])
    is_kept = (rank < best.shape[1]) & (columns[0][order] > 0)
    order, rank = order[is_kept], rank[is_kept]
    for table, column in zip(tables, columns, strict=True):
        table[tokens[order], rank] = column[order]


def by_token(first, token, n_tokens, feature):
    order = np.argsort(token, kind="stable")
    feature[:] = _owner(first)[order]
    start = np.zeros(n_tokens + 1, np.int64)
    np.cumsum(np.bincount(token, minlength=n_tokens), out=start[1:])
    return start


def together(first, token, begin, start, feature, counts):
    shape = (len(start) - 1, counts.shape[1])
    ones = np.ones(len(feature), np.int32)
    tokens = csr_array((ones, feature.astype(np.int32), start), shape=shape)
    own = first[begin : begin + len(counts) + 1]
    of_token = token[own[0] : own[-1]].astype(np.int32)
    features = csr_array(
        (np.ones(len(of_token), np.int32), of_token, own - own[0]),
        shape=(len(counts), shape[0]),
    )
    found: Any = features @ tokens
    counts += found.toarray().astype(np.uint32)


def partners(counts, n_fired, begin, feature, n_both, jaccard):
    n = min(feature.shape[1], counts.shape[1])
    rows = np.arange(len(counts))
    both = counts.astype(np.int64)
    both[rows, begin + rows] = 0
    either = n_fired[begin + rows][:, None] + n_fired[None, :] - both
    share = (both / np.maximum(either, 1)).astype(np.float32)
    order = np.argsort(-share, axis=1, kind="stable")[:, :n]
    jaccard[:, :n] = np.take_along_axis(share, order, axis=1)
    n_both[:, :n] = np.take_along_axis(both, order, axis=1)
    feature[:, :n] = np.where(jaccard[:, :n] > 0, order, -1)


def row_histograms(rows, edges, counts):
    for row, own, count in zip(rows, edges, counts, strict=True):
        count += np.histogram(row.astype(np.float64), own)[0]
