"""What an index holds: all that follows from the active pairs and the SAE's weights.

A band of features at a time, exactly and in bounded memory (`statistics`, `cofiring`);
decoder directions give the rest (`logits`, `neighbours`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import InputError
from tinysae.features.background import in_background
from tinysae.features.index.cofiring import cofiring
from tinysae.features.index.format import IndexData, IndexInfo
from tinysae.features.index.logits import extreme_logits, folded, token_features
from tinysae.features.index.neighbours import (
    UMAP_NEIGHBOURS,
    Layout,
    Neighbours,
    layout,
    neighbours,
)
from tinysae.features.index.pair_store import PairStore
from tinysae.features.index.records import LogitKind
from tinysae.features.index.statistics import (
    BandStatistics,
    Corpus,
    FiringFeatures,
    Sampling,
    band_statistics,
)
from tinysae.model.blas import PRODUCTS, one_thread

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.encode import Encoder
    from tinysae.sae.load import SAE

T = TypeVar("T")
R = TypeVar("R")
N = TypeVar("N", bound=tuple[NDArray[Any], ...])

N_LOGITS = 10
N_RELATIVES = 10
# Bytes that a pair takes while its band is gone through. A band is no larger than what
# stays in a processor's last cache.
_BYTES_IN_BAND = 60
_PAIRS_IN_BAND, _FEATURES_IN_BAND = 1 << 19, 512
# Bands that are computed before they are asked for.
_AHEAD = 4


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much an index keeps. memory: bytes that the bands in work, or the counts of
    what fires together, may take. text, is_held_out: as in `format.IndexInfo`."""

    sampling: Sampling
    features_per_token: int
    layout: Layout
    memory: int
    text: str
    is_held_out: bool


def index_data(
    sae: "SAE",
    model: "LoadedModel",
    encoder: "Encoder",
    store: PairStore,
    options: Options,
    relatives: "Relatives",
    before_map: Callable[[], None],
) -> IndexData:
    """Everything that follows from the pairs of `store` and the weights.

    before_map: called when only the map may be left to be made.

    Raises:
        InputError: no token was read.
    """
    if not store.shards:
        raise InputError("features_no_tokens")
    chunks = np.concatenate([shard.tokens for shard in store.shards])
    token_counts = np.bincount(chunks.ravel(), minlength=model.d_vocab)
    n_counted = chunks.size - int(token_counts[model.bos_id])
    if not n_counted:
        raise InputError("features_no_tokens")
    corpus = Corpus(chunks.ravel(), token_counts, chunks.shape[1])
    with one_thread():
        bands, firing = _statistics(corpus, store, encoder, options)
        together = cofiring(store, N_RELATIVES, options.memory, encoder.pool)
    before_map()
    return IndexData(
        info=IndexInfo(
            sae_fingerprint=sae.fingerprint,
            model=model.source,
            hook_name=sae.hook_name,
            d_in=sae.d_in,
            d_sae=sae.d_sae,
            d_vocab=model.d_vocab,
            bos_id=model.bos_id,
            n_chunks=len(chunks),
            context_size=chunks.shape[1],
            n_positions=chunks.size,
            n_tokens=n_counted,
            contexts_per_feature=options.sampling.contexts,
            contexts_per_bin=options.sampling.contexts_per_bin,
            features_per_token=options.features_per_token,
            layout=options.layout,
            has_folded="folded" in relatives.logits,
            text=options.text,
            is_held_out=options.is_held_out,
        ),
        totals=_joined([band.totals for band in bands]),
        by_mass=_joined([band.by_mass for band in bands]),
        by_precision=_joined([band.by_precision for band in bands]),
        cofiring=together,
        firing=firing,
        contexts=_joined([band.contexts for band in bands]),
        chunks=chunks,
        token_counts=token_counts,
        vocabulary=model.vocabulary,
        logits=relatives.logits,
        token_logits=relatives.token_logits,
        neighbours=relatives.neighbours,
        layout=relatives.layout.result(),
    )


def _statistics(
    corpus: Corpus, store: PairStore, encoder: "Encoder", options: Options
) -> tuple[list[BandStatistics], FiringFeatures]:
    def work(band: tuple[int, int]) -> BandStatistics:
        return band_statistics(store.band(*band), corpus, options.sampling)

    firing = FiringFeatures(len(corpus.counts), options.features_per_token)
    bands: list[BandStatistics] = []
    limits = _bands(store, options.memory // encoder.n_threads // _BYTES_IN_BAND)
    for band in _in_order(encoder.pool, work, limits):
        firing.add(band)
        bands.append(band.without_entries())
    return bands, firing


def _bands(store: PairStore, n_pairs: int) -> list[tuple[int, int]]:
    """Consecutive features with no more than about `n_pairs` pairs together."""
    limit = min(_PAIRS_IN_BAND, n_pairs)
    ends = np.cumsum(store.n_fired())
    bands, begin = [], 0
    while begin < len(ends):
        before = ends[begin - 1] if begin else 0
        end = int(np.searchsorted(ends, before + limit, side="right"))
        end = min(max(end, begin + 1), len(ends), begin + _FEATURES_IN_BAND)
        bands.append((begin, end))
        begin = end
    return bands


class Relatives(NamedTuple):
    """What only decoder directions say, as fields of `IndexData`; the map may not be
    done yet."""

    logits: "dict[LogitKind, Any]"
    token_logits: "dict[LogitKind, Any]"
    neighbours: Neighbours
    layout: "Future[NDArray[np.float32]]"


def relatives_of(
    sae: "SAE", model: "LoadedModel", encoder: "Encoder", options: Options
) -> Relatives:
    """What the decoder directions say. Most of what a map takes is compiling, on one
    core: a thread of its own makes it while the text is read."""
    pool, product = encoder.pool, PRODUCTS[encoder.product_name]
    W_dec = sae.W_dec.detach().float().cpu()
    directions = {"raw": W_dec}
    if (weight := model.final_norm_weight) is not None:
        centred = model.bridge.cfg.normalization_type != "RMS"
        weight = weight.detach().float().cpu()
        directions["folded"] = folded(W_dec, weight, centred=centred)
    W_U = np.ascontiguousarray(model.W_U.detach().float().cpu().T.numpy())
    logits: dict[LogitKind, Any] = {}
    tokens: dict[LogitKind, Any] = {}
    kind: LogitKind
    with one_thread():
        for kind in ("raw", "folded"):
            if kind in directions:
                rows = np.ascontiguousarray(directions[kind].numpy())
                logits[kind] = extreme_logits(rows, W_U, N_LOGITS, product, pool)
                n = options.features_per_token
                tokens[kind] = token_features(rows, W_U, n, product, pool)
        rows = np.ascontiguousarray(W_dec.numpy())
        near = neighbours(rows, max(N_RELATIVES, UMAP_NEIGHBOURS), product, pool)
    places = in_background(layout, rows, near, options.layout, options.sampling.seed)
    return Relatives(logits, tokens, near.first(N_RELATIVES), places)


def _in_order(
    pool: "Executor", work: Callable[[T], R], items: Iterable[T]
) -> Iterator[R]:
    """As `pool.map`, but only a few results are made before they are asked for."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _joined(parts: Sequence[N]) -> N:
    """One named tuple: each of its arrays is that of all parts, one after the other."""
    return type(parts[0])(*map(np.concatenate, zip(*parts, strict=True)))
