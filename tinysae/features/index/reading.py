"""One pass over a text: what is active on each of its tokens, into a `PairStore`.

BOS tokens are read by the model but not counted: they stand between texts and are no
word of any, and what is active there would crowd out everything else. (SAELens trains
on BOS too, unless `exclude_special_tokens` says otherwise.)
"""

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError
from tinysae.features.index.pair_store import (
    SHARD_TOKENS,
    PairStore,
    assembled,
    token_type,
)

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.encode import Encoder
    from tinysae.sae.load import SAE
    from tinysae.sae.step.pairs import Pairs

# What the model reads at once, and what is encoded at once.
TOKENS_AT_ONCE, TOKENS_ENCODED = 1 << 13, 1 << 15
# Bytes that a pair takes while a shard is put together.
_BYTES_IN_SHARD = 20


def read_pairs(
    sae: "SAE",
    model: "LoadedModel",
    encoder: "Encoder",
    store: PairStore,
    chunks: Iterator[NDArray[np.int32]],
    memory: int,
    tell: Callable[[int], None],
) -> None:
    """Fills `store` with the active pairs of all `chunks` [context_size].

    Args:
        sae: whose features.
        model: the model it reads.
        encoder: of `sae`.
        store: goes on after what it has from an earlier try.
        chunks: the whole text, what the store has included.
        memory: bytes that the pairs of a shard may take before they are written.
        tell: hears after every batch how many chunks were read.

    Raises:
        DamagedError: an activation is not finite.
        OSError: the store cannot be written.
    """
    while n_kept := store.kept():
        tokens = list(islice(chunks, n_kept))
        if not (tokens and store.keep(np.stack(tokens))):
            chunks = chain(tokens, chunks)
            break
        tell(n_kept)
    pending: list[NDArray[np.int32]] = []
    pieces: list[Pairs] = []
    n_pending = 0

    def write() -> None:
        tokens = np.concatenate(pending)
        is_read = tokens.ravel() != model.bos_id
        kind = token_type(tokens.shape[1])
        store.append(tokens, *assembled(pieces, sae.d_sae, is_read, kind))

    for tokens in _batches(chunks):
        n_pairs = sum(len(piece.token) for piece in pieces)
        is_full = n_pairs > memory // _BYTES_IN_SHARD
        if n_pending and (is_full or n_pending + tokens.size > SHARD_TOKENS):
            write()
            pending, pieces, n_pending = [], [], 0
        pieces += _active_pairs(sae, model, encoder, tokens, n_pending)
        pending.append(tokens)
        n_pending += tokens.size
        tell(len(tokens))
    if pending:
        write()
    store.wait()


def _active_pairs(
    sae: "SAE",
    model: "LoadedModel",
    encoder: "Encoder",
    tokens: NDArray[np.int32],
    offset: int,
) -> "list[Pairs]":
    """The active pairs of chunks [n, context_size]; tokens count from `offset`."""
    import torch

    from tinysae.model import forward

    n = max(1, TOKENS_AT_ONCE // tokens.shape[1])
    x = np.empty((tokens.size, sae.d_in), np.float32)
    parts = np.split(x, range(n * tokens.shape[1], len(x), n * tokens.shape[1]))
    for part, some in zip(parts, torch.from_numpy(tokens).split(n), strict=True):
        acts = forward.activations(model, some.long(), sae.hook_name)
        torch.from_numpy(part).copy_(acts.flatten(0, 1))
    # Before the SAE: -inf would only look like what is not active.
    if not all(encoder.pool.map(_is_finite, parts)):
        raise DamagedError("features_not_finite")
    pieces = encoder.pairs(x, offset)
    if not all(_is_finite(piece.value) for piece in pieces):
        raise DamagedError("features_not_finite")
    return pieces


def made_from(
    sae: "SAE",
    model: "LoadedModel",
    chunk: NDArray[np.int32],
    n_chunks: int,
    bits: str,
) -> dict[str, Any]:
    """What the pairs of `n_chunks` chunks follow from, the text after the first `chunk`
    aside; `bits` are the encoder's (`tinysae.sae.encode`)."""
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
        "product": bits,
    }


def _batches(chunks: Iterator[NDArray[np.int32]]) -> Iterator[NDArray[np.int32]]:
    """Chunks [n, context_size], as many as are encoded at once."""
    for first in chunks:
        n = max(1, TOKENS_ENCODED // len(first))
        yield np.stack([first, *islice(chunks, n - 1)])


def _is_finite(values: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(values).all())
