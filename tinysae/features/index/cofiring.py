"""Which features fire on the same tokens."""

from concurrent.futures import Executor
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.features.index import kernels
from tinysae.features.index.pair_store import PairStore, Shard

# Features a task: their rows of counts are 1 MB for 4096 features.
_ROWS = 64


class CoFirings(NamedTuple):
    """The features that fire with each most, by Jaccard, the most first.

    feature [d_sae, n], -1 where there is no further; n_both: tokens on which both fire;
    jaccard: n_both over the tokens on which either does.
    """

    feature: NDArray[np.int32]
    n_both: NDArray[np.int64]
    jaccard: NDArray[np.float32]


def cofiring(
    store: PairStore,
    n: int,
    memory: int,
    pool: Executor,
) -> CoFirings:
    """Exact counts of all pairs of features, in rows that fit into `memory` bytes; each
    batch of rows reads the store once."""
    n_fired = store.n_fired()
    at_once = max(_ROWS, memory // (4 * len(n_fired)) // _ROWS * _ROWS)
    parts = [
        _of_rows(store, n_fired, begin, min(at_once, len(n_fired) - begin), n, pool)
        for begin in range(0, len(n_fired), at_once)
    ]
    return CoFirings(*map(np.concatenate, zip(*parts, strict=True)))


def _of_rows(
    store: PairStore,
    n_fired: NDArray[np.int64],
    begin: int,
    n_rows: int,
    n: int,
    pool: Executor,
) -> CoFirings:
    """Those of `n_rows` features from `begin` on."""
    counts = np.zeros((n_rows, len(n_fired)), np.uint32)
    blocks = [slice(a, a + _ROWS) for a in range(0, n_rows, _ROWS)]

    def add(shard: Shard, by_token: _ByToken, rows: slice) -> None:
        token, start, feature = by_token
        at = begin + rows.start
        kernels.together(shard.first, token, at, start, feature, counts[rows])

    ahead = pool.submit(_by_token, store.shards[0])
    for shard, following in zip_longest(store.shards, store.shards[1:]):
        by_token = ahead.result()
        if following is not None:
            ahead = pool.submit(_by_token, following)
        list(pool.map(partial(add, shard, by_token), blocks))

    best = CoFirings(
        np.full((n_rows, n), -1, np.int32),
        np.zeros((n_rows, n), np.int64),
        np.zeros((n_rows, n), np.float32),
    )

    def keep_best(rows: slice) -> None:
        at = begin + rows.start
        kernels.partners(counts[rows], n_fired, at, *(a[rows] for a in best))

    list(pool.map(keep_best, blocks))
    return best


class _ByToken(NamedTuple):
    """A shard's pairs: the tokens by feature; begins of each token's in `feature`."""

    token: NDArray[Any]
    start: NDArray[np.int64]
    feature: NDArray[Any]


def _by_token(shard: Shard) -> _ByToken:
    d_sae = len(shard.first) - 1
    token = shard.token(0, d_sae)
    feature = np.empty(len(token), np.uint16 if d_sae <= 1 << 16 else np.int32)
    start = kernels.by_token(shard.first, token, shard.n_tokens, feature)
    return _ByToken(token, start, feature)
