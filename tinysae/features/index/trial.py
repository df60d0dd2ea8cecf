"""An index of next to nothing, so that the loops of an index are compiled."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tinysae.features.index.cofiring import cofiring
from tinysae.features.index.logits import extreme_logits
from tinysae.features.index.pair_store import PairStore, assembled, token_type
from tinysae.features.index.statistics import (
    Corpus,
    FiringFeatures,
    Sampling,
    band_statistics,
)
from tinysae.model.blas import PRODUCTS
from tinysae.sae.step.pairs import Pairs


def try_index() -> None:
    """Goes through what an index computes: of two features, each of which fires on one
    of the two tokens of a text. Seconds, the first time on a machine."""
    tokens = np.array([[0, 1]], np.int32)
    fires = Pairs(0, np.arange(3), np.arange(2, dtype=np.int32), np.ones(2, np.float32))
    is_read = np.ones(tokens.size, np.bool_)
    pairs = assembled([fires], 2, is_read, token_type(tokens.size))
    directions = np.eye(2, dtype=np.float32)
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-") as folder,
        ThreadPoolExecutor(1) as pool,
        PairStore(Path(folder) / "pairs", {}) as store,
    ):
        store.append(tokens, *pairs)
        store.wait()
        corpus = Corpus(tokens.ravel(), np.ones(2, np.int64), tokens.size)
        band = band_statistics(store.band(0, 2), corpus, Sampling(1, 1, 1, 0))
        FiringFeatures(2, 1).add(band)
        cofiring(store, 1, 1, pool)
        extreme_logits(directions, directions, 1, PRODUCTS["numpy"], pool)
