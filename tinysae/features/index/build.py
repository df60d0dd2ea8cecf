"""Everything there is to know about every feature of an SAE, from one pass over a text.

`build_index` reads the text once, for all features at once; `open_index` reads back one
feature as a few slices of its files, with no model in memory.

What is active is first written down, feature by feature (`pair_store`); then everything
is computed from that, a band of features at a time, exactly and in bounded memory
(`statistics`, `cofiring`). Decoder directions give the rest (`logits`, `neighbours`).

BOS tokens are read by the model but not counted: they stand between texts and are no
word of any, and what is active there would crowd out everything else. (SAELens trains
on BOS too, unless `exclude_special_tokens` says otherwise.)
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, InputError
from tinysae.features.index.format import IndexData, IndexInfo, write_index
from tinysae.features.index.neighbours import UMAP_NEIGHBOURS, Layout
from tinysae.features.index.pair_store import (
    SHARD_TOKENS,
    PairStore,
    assembled,
    token_type,
)
from tinysae.features.index.reader import FeatureIndex, open_index
from tinysae.features.index.records import LogitKind
from tinysae.features.index.statistics import (
    BandStatistics,
    Corpus,
    FiringFeatures,
    Sampling,
    band_statistics,
)
from tinysae.features.index.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.encode import Encoder
    from tinysae.sae.load import SAE
    from tinysae.sae.step.pairs import Pairs

__all__ = ["FeatureIndex", "build_index", "open_index"]

T = TypeVar("T")
R = TypeVar("R")
N = TypeVar("N", bound=tuple[NDArray[Any], ...])

N_TOP_TOKENS = 20
N_LOGITS = 10
N_RELATIVES = 10
# What the model reads at once, and what is encoded at once.
TOKENS_AT_ONCE, TOKENS_ENCODED = 1 << 13, 1 << 15
# Bytes that a pair takes while a shard is put together, and while its band is gone
# through. A band is no larger than what stays in a processor's last cache.
_BYTES_IN_SHARD, _BYTES_IN_BAND = 20, 60
_PAIRS_IN_BAND, _FEATURES_IN_BAND = 1 << 19, 512
# Bands that are computed before they are asked for.
_AHEAD = 4
# How the progress is told: in tokens, of which reading is this share.
_READING, _COMPUTING = 0.8, 0.9


@dataclass(frozen=True, kw_only=True)
class _Options:
    sampling: Sampling
    features_per_token: int
    layout: Layout
    memory: int


def build_index(
    sae: "SAE",
    model: "LoadedModel",
    chunks: Iterable[NDArray[np.int32]],
    out_dir: Path,
    *,
    n_tokens: int,
    contexts_per_feature: int = 20,
    contexts_per_bin: int = 5,
    features_per_token: int = 50,
    layout: Layout = "umap",
    memory_mb: int = 512,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> FeatureIndex:
    """Reads `chunks` once and writes the index of every feature to `out_dir`.

    A build that is killed leaves what it has found in `<out_dir>.partial`; the next one
    of the same SAE, model and text goes on from there, to the same files. What is found
    takes 6 bytes of disk for each activation that is not zero.

    Args:
        sae: whose features.
        model: the model it reads.
        chunks: contexts of token ids, all of one length [context_size].
        out_dir: replaced once the index is complete; untouched until then.
        n_tokens: how many tokens to read, BOS included; the last chunk is read whole.
        contexts_per_feature: how many of its strongest contexts each feature keeps.
        contexts_per_bin: how many of the contexts in each of at most eight ranges of
            its activation, drawn at random.
        features_per_token: how many features each token keeps in each of its lists.
        layout: how the map is made: "pca" takes no time.
        memory_mb: what building may take beside the model, the SAE, the text that was
            read (2 or 4 bytes a token) and the index itself. Smaller is slower.
        seed: of the drawn contexts and of the map.
        progress: hears (tokens done, tokens to do) after every batch; what it raises
            ends the build. The last fifth is what is computed after reading.

    The same inputs on the same machine give the same files, bit for bit, with any
    number of threads and any `memory_mb`.

    Raises:
        InputError: the SAE does not fit the model, or there are no tokens.
        DamagedError: activations are not finite.
        OSError: the index cannot be written.
    """
    from tinysae.features.index.neighbours import layout_of
    from tinysae.sae.encode import Encoder

    check_fit(sae, model)
    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None or n_tokens < 1:
        raise InputError("features_no_tokens")
    n_chunks = -(-n_tokens // len(first))
    options = _Options(
        sampling=Sampling(contexts_per_feature, contexts_per_bin, N_TOP_TOKENS, seed),
        features_per_token=min(features_per_token, sae.d_sae),
        layout=layout_of(sae.d_sae, layout),
        memory=memory_mb << 20,
    )
    n_to_read = n_chunks * len(first)

    def tell(share: float) -> None:
        if progress is not None:
            progress(round(share * n_to_read), n_to_read)

    wanted = islice(chain([first], iterator), n_chunks)
    partial = out_dir.with_name(f"{out_dir.name}.partial")
    with Encoder(sae) as encoder:
        key = _key(sae, model, first, n_chunks, encoder.product_name)
        with PairStore(partial, key) as store:
            try:
                build = _Build(sae, model, encoder, store, options, tell)
                build.read(wanted, n_chunks)
                write_index(build.data(), out_dir)
            except (InputError, DamagedError, OSError):
                # Nothing that another try could go on from, or a full disk.
                store.remove()
                raise
            store.remove()
    index = open_index(out_dir)
    tell(1.0)
    return index


def check_fit(sae: "SAE", model: "LoadedModel") -> None:
    """Refuses an SAE of a hook that `model` has not, or not of that width.

    Raises:
        InputError: naming the hook.
    """
    width = model.hook_widths.get(sae.hook_name)
    if width is None:
        raise InputError("features_no_hook", hook=sae.hook_name[:200])
    # Decoder directions are unembedded, so they must live where the logits are read.
    if not sae.d_in == width == model.d_model:
        raise InputError(
            "features_width", d_in=sae.d_in, width=width, hook=sae.hook_name[:200]
        )


class _Build:
    """One build: what its steps share."""

    def __init__(
        self,
        sae: "SAE",
        model: "LoadedModel",
        encoder: "Encoder",
        store: PairStore,
        options: _Options,
        tell: Callable[[float], None],
    ) -> None:
        self._sae, self._model, self._encoder = sae, model, encoder
        self._store, self._options, self._tell = store, options, tell
        self._kernels = load_kernels()

    def read(self, chunks: Iterator[NDArray[np.int32]], n_chunks: int) -> None:
        """Fills the store with the pairs of all `chunks`."""
        n_read = 0

        def tell(n_new: int) -> None:
            nonlocal n_read
            n_read += n_new
            self._tell(_READING * n_read / n_chunks)

        while n_kept := self._store.kept():
            tokens = list(islice(chunks, n_kept))
            if not (tokens and self._store.keep(np.stack(tokens))):
                chunks = chain(tokens, chunks)
                break
            tell(n_kept)
        pending: list[NDArray[np.int32]] = []
        pieces: list[Pairs] = []
        n_pending = 0
        most_pairs = self._options.memory // 2 // _BYTES_IN_SHARD
        for tokens in _batches(chunks):
            n_pairs = sum(len(piece.token) for piece in pieces)
            if n_pending and (
                n_pending + tokens.size > SHARD_TOKENS or n_pairs > most_pairs
            ):
                self._flush(pending, pieces)
                pending, pieces, n_pending = [], [], 0
            pieces += self._active_pairs(tokens, n_pending)
            pending.append(tokens)
            n_pending += tokens.size
            tell(len(tokens))
        if pending:
            self._flush(pending, pieces)
        self._store.wait()

    def _flush(self, pending: list[NDArray[np.int32]], pieces: "list[Pairs]") -> None:
        tokens = np.concatenate(pending)
        is_read = tokens.ravel() != self._model.bos_id
        kind = token_type(tokens.shape[1])
        found = assembled(pieces, self._sae.d_sae, is_read, kind, self._kernels)
        self._store.append(tokens, *found)

    def _active_pairs(self, tokens: NDArray[np.int32], offset: int) -> "list[Pairs]":
        """The active pairs of chunks [n, context_size]; tokens count from `offset`.

        Raises:
            DamagedError: an activation is not finite.
        """
        import torch

        from tinysae.model import forward

        n = max(1, TOKENS_AT_ONCE // tokens.shape[1])
        x = np.empty((tokens.size, self._sae.d_in), np.float32)
        parts = np.split(x, range(n * tokens.shape[1], len(x), n * tokens.shape[1]))
        for part, some in zip(parts, torch.from_numpy(tokens).split(n), strict=True):
            found = forward.activations(self._model, some.long(), self._sae.hook_name)
            torch.from_numpy(part).copy_(found.flatten(0, 1))
        # Before the SAE: -inf would only look like what is not active.
        if not all(self._encoder.pool.map(_is_finite, parts)):
            raise DamagedError("features_not_finite")
        pieces = self._encoder.pairs(x, offset)
        if not all(_is_finite(piece.value) for piece in pieces):
            raise DamagedError("features_not_finite")
        return pieces

    def data(self) -> IndexData:
        """Everything that follows from the pairs and the weights."""
        from tinysae.model.blas import one_thread

        store, options, model = self._store, self._options, self._model
        if not store.shards:
            raise InputError("features_no_tokens")
        chunks = np.concatenate([shard.tokens for shard in store.shards])
        token_counts = np.bincount(chunks.ravel(), minlength=model.d_vocab)
        n_counted = chunks.size - int(token_counts[model.bos_id])
        if not n_counted:
            raise InputError("features_no_tokens")
        corpus = Corpus(chunks.ravel(), token_counts, chunks.shape[1])
        with one_thread():
            statistics, firing = self._statistics(corpus)
            relatives = self._relatives()
        contexts = _joined([band.contexts for band in statistics])
        info = IndexInfo(
            sae_fingerprint=self._sae.fingerprint,
            model=model.source,
            hook_name=self._sae.hook_name,
            d_in=self._sae.d_in,
            d_sae=self._sae.d_sae,
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
            has_folded="folded" in relatives["logits"],
        )
        return IndexData(
            info=info,
            totals=_joined([band.totals for band in statistics]),
            by_mass=_joined([band.by_mass for band in statistics]),
            by_precision=_joined([band.by_precision for band in statistics]),
            firing=firing,
            contexts=contexts,
            chunks=chunks,
            token_counts=token_counts,
            vocabulary=vocabulary_of(model),
            **relatives,
        )

    def _statistics(
        self, corpus: Corpus
    ) -> tuple[list[BandStatistics], FiringFeatures]:
        firing = FiringFeatures(len(corpus.counts), self._options.features_per_token)
        kernels, pool = self._kernels, self._encoder.pool

        def work(band: tuple[int, int]) -> BandStatistics:
            pairs = self._store.band(*band, kernels)
            return band_statistics(pairs, corpus, self._options.sampling, kernels)

        found: list[BandStatistics] = []
        for band in in_order(pool, work, self._bands()):
            firing.add(band, kernels)
            found.append(band.without_entries())
        return found, firing

    def _bands(self) -> list[tuple[int, int]]:
        """Consecutive features with not too many pairs together."""
        limit = min(
            _PAIRS_IN_BAND,
            self._options.memory // 2 // self._encoder.n_threads // _BYTES_IN_BAND,
        )
        ends = np.cumsum(self._store.n_fired())
        bands, begin = [], 0
        while begin < len(ends):
            before = ends[begin - 1] if begin else 0
            end = int(np.searchsorted(ends, before + limit, side="right"))
            end = min(max(end, begin + 1), len(ends), begin + _FEATURES_IN_BAND)
            bands.append((begin, end))
            begin = end
        return bands

    def _relatives(self) -> dict[str, Any]:
        """What only decoder directions say, and which features fire together."""
        from tinysae.features.index.cofiring import cofiring
        from tinysae.features.index.logits import extreme_logits, folded, token_features
        from tinysae.features.index.neighbours import layout, neighbours
        from tinysae.model.blas import PRODUCTS

        options, model, kernels = self._options, self._model, self._kernels
        pool, product = self._encoder.pool, PRODUCTS[self._encoder.product_name]
        together = cofiring(
            self._store, N_RELATIVES, options.memory // 2, kernels, pool
        )
        W_dec = self._sae.W_dec.detach().float().cpu()
        directions = {"raw": W_dec}
        if (weight := model.final_norm_weight) is not None:
            centred = model.bridge.cfg.normalization_type != "RMS"
            weight = weight.detach().float().cpu()
            directions["folded"] = folded(W_dec, weight, centred=centred)
        W_U = np.ascontiguousarray(model.W_U.detach().float().cpu().T.numpy())
        logits: dict[LogitKind, Any] = {}
        tokens: dict[LogitKind, Any] = {}
        kind: LogitKind
        for kind in ("raw", "folded"):
            if kind in directions:
                rows = np.ascontiguousarray(directions[kind].numpy())
                logits[kind] = extreme_logits(
                    rows, W_U, N_LOGITS, product, kernels, pool
                )
                n = options.features_per_token
                tokens[kind] = token_features(rows, W_U, n, product, pool)
        rows = np.ascontiguousarray(W_dec.numpy())
        near = neighbours(rows, max(N_RELATIVES, UMAP_NEIGHBOURS), product, pool)
        self._tell(_COMPUTING)
        return {
            "cofiring": together,
            "logits": logits,
            "token_logits": tokens,
            "neighbours": near.first(N_RELATIVES),
            "layout": layout(rows, near, options.layout, options.sampling.seed),
        }


def load_kernels() -> ModuleType:
    """The compiled loops, or those without numba."""
    from tinysae.sae.step.engine import numba_problem

    if numba_problem():
        from tinysae.features.index import kernels_numpy

        return kernels_numpy
    from tinysae.features.index import kernels

    return kernels


def in_order(
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


def _batches(chunks: Iterator[NDArray[np.int32]]) -> Iterator[NDArray[np.int32]]:
    """Chunks [n, context_size], as many as are encoded at once."""
    for first in chunks:
        n = max(1, TOKENS_ENCODED // len(first))
        yield np.stack([first, *islice(chunks, n - 1)])


def _is_finite(values: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(values).all())


def _joined(parts: Sequence[N]) -> N:
    """The arrays of named tuples, those of all parts one after the other."""
    return type(parts[0])(*map(np.concatenate, zip(*parts, strict=True)))


def _key(
    sae: "SAE",
    model: "LoadedModel",
    chunk: NDArray[np.int32],
    n_chunks: int,
    product: str,
) -> dict[str, Any]:
    """What the pairs of a text follow from, the text itself aside."""
    import torch

    from tinysae.model import forward

    tokens = torch.from_numpy(chunk)[None].long()
    # The model's weights and machine in a few bytes.
    x = forward.activations(model, tokens, sae.hook_name).detach().float().cpu()
    return {
        "sae": sae.fingerprint,
        "model": model.source,
        "activations": hashlib.sha256(x.numpy().tobytes()).hexdigest(),
        "tokens": hashlib.sha256(chunk.tobytes()).hexdigest(),
        "n_chunks": n_chunks,
        "product": product,
    }
