"""From dense products to pairs."""

from threading import local

import numpy as np
from numpy.typing import NDArray

from tinysae.sae.step.kernels import finding
from tinysae.sae.step.pairs import Floats, Pairs


class Compressor:
    """Takes the pairs out of products; each thread keeps its scratch arrays."""

    def __init__(self) -> None:
        self._scratch = local()

    def pairs_above(
        self,
        begin: int,
        product: Floats,
        bias: Floats,
        scale: Floats,
        floor: Floats,
    ) -> Pairs:
        """The pairs of `product` [features, tokens] with v = (product + bias) * scale
        above the feature's floor, or NaN; the first of the features is `begin`."""
        n_features, n = product.shape
        first = np.empty(n_features + 1, np.int64)
        while True:
            token, value = self._room(max(n, product.size // 16))
            done = finding.compress(product, bias, scale, floor, token, value, first)
            if done == n_features:
                break
            self._room(min(2 * len(token), product.size + n))
        n_pairs = int(first[-1])
        return Pairs(begin, first, token[:n_pairs].copy(), value[:n_pairs].copy())

    def k_largest(self, product: Floats, bias: Floats, scale: Floats, k: int) -> Pairs:
        """The pairs of `product` [tokens, features] with the k largest
        v = (product + bias) * scale of each token, if above 0."""
        n, n_features = product.shape
        feature, value = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        count = np.empty(n, np.int64)
        finding.topk_rows(product, bias, scale, k, 0.0, feature, value, count)
        return by_feature(feature, value, count, n_features)

    def _room(self, least: int) -> tuple[NDArray[np.int32], Floats]:
        """This thread's scratch arrays, of at least that many places."""
        mine = self._scratch
        if len(getattr(mine, "token", ())) < least:
            mine.token = np.empty(least, np.int32)
            mine.value = np.empty(least, np.float32)
        return mine.token, mine.value


def by_feature(
    feature: NDArray[np.int32],
    value: Floats,
    count: NDArray[np.int64],
    n_features: int,
) -> Pairs:
    """The pairs of tokens' rows: token t has `count[t]` of them, [tokens, room]."""
    first = np.zeros(n_features + 1, np.int64)
    token = np.empty(int(count.sum()), np.int32)
    values = np.empty(len(token), np.float32)
    finding.to_columns(feature, value, count, first, token, values)
    return Pairs(0, first, token, values)
