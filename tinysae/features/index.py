"""Everything there is to know about every feature of an SAE, from one pass over a text.

`build_index` reads the text once, for all features at once; `open_index` reads back one
feature as a few slices of its files, with no model in memory.

BOS tokens are read by the model but not counted: they stand between texts and are no
word of any, and what is active there would crowd out everything else. (SAELens trains
on BOS too, unless `exclude_special_tokens` says otherwise.)
"""

from collections.abc import Callable, Iterable
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, InputError
from tinysae.features.format import IndexData, IndexInfo, write_index
from tinysae.features.logits import ExtremeLogits, extreme_logits, folded
from tinysae.features.reader import FeatureIndex, open_index
from tinysae.features.records import LogitKind
from tinysae.features.statistics import ActivePairs, Histograms, Totals
from tinysae.features.token_sums import token_sums
from tinysae.features.top_contexts import TopContexts
from tinysae.features.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.files import SAE

__all__ = ["FeatureIndex", "build_index", "open_index"]

N_TOP_TOKENS = 20
N_LOGITS = 10
# What the model reads at once, and how many dense feature activations are made of it
# at once: 8 MB, which the allocator uses again. Fresh pages would double the cost.
TOKENS_AT_ONCE = 1 << 13
ACTIVATIONS_AT_ONCE = 1 << 21


def build_index(
    sae: "SAE",
    model: "LoadedModel",
    chunks: Iterable[NDArray[np.int32]],
    out_dir: Path,
    *,
    n_tokens: int,
    contexts_per_feature: int = 20,
    progress: Callable[[int, int], object] | None = None,
) -> FeatureIndex:
    """Reads `chunks` once and writes the index of every feature to `out_dir`.

    Args:
        sae: whose features.
        model: the model it reads.
        chunks: contexts of token ids, all of one length [context_size].
        out_dir: replaced once the index is complete; untouched until then.
        n_tokens: how many tokens to read, BOS included; the last chunk is read whole.
        contexts_per_feature: how many of its strongest contexts each feature keeps.
        progress: hears (tokens read, tokens to read) after every batch; what it raises
            ends the build.

    The same inputs on the same machine give the same files, bit for bit. Memory is
    bounded by d_sae and d_vocab, and by 2 or 4 bytes for each token that is read.

    Raises:
        InputError: the SAE does not fit the model, or there are no tokens.
        DamagedError: activations are not finite.
        OSError: the index cannot be written.
    """
    check_fit(sae, model)
    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None or n_tokens < 1:
        raise InputError("features_no_tokens")
    context_size = len(first)
    n_chunks = -(-n_tokens // context_size)
    chunks_at_once = max(1, TOKENS_AT_ONCE // context_size)

    totals, histograms = Totals(sae.d_sae), Histograms(sae.d_sae)
    sums = token_sums(sae.d_sae, model.d_vocab)
    contexts = TopContexts(sae.d_sae, contexts_per_feature)
    read: list[NDArray[np.int32]] = []
    n_read = 0
    wanted = islice(chain([first], iterator), n_chunks)
    while batch := list(islice(wanted, chunks_at_once)):
        tokens = np.stack(batch)
        pairs = _active_pairs(sae, model, tokens)
        totals.add(pairs)
        histograms.add(pairs)
        sums.add(pairs.feature, tokens.ravel()[pairs.row].astype(np.int64), pairs.value)
        contexts.add(pairs, n_read, len(tokens), context_size)
        read.append(tokens)
        n_read += len(tokens)
        if progress is not None:
            progress(n_read * context_size, n_chunks * context_size)

    corpus = np.concatenate(read)
    token_counts = np.bincount(corpus.ravel(), minlength=model.d_vocab)
    n_counted = corpus.size - int(token_counts[model.bos_id])
    if not n_counted:
        raise InputError("features_no_tokens")
    logits = _logits(sae, model)
    info = IndexInfo(
        sae_fingerprint=sae.fingerprint,
        model=model.source,
        hook_name=sae.hook_name,
        d_in=sae.d_in,
        d_sae=sae.d_sae,
        d_vocab=model.d_vocab,
        bos_id=model.bos_id,
        n_chunks=n_read,
        context_size=context_size,
        n_positions=corpus.size,
        n_tokens=n_counted,
        contexts_per_feature=contexts_per_feature,
        token_sums_exact=sums.is_exact,
        has_folded="folded" in logits,
    )
    data = IndexData(
        info=info,
        totals=totals,
        histograms=histograms,
        tokens=sums.top(N_TOP_TOKENS),
        logits=logits,
        contexts=contexts.result(),
        chunks=corpus,
        token_counts=token_counts,
        vocabulary=vocabulary_of(model),
    )
    write_index(data, out_dir)
    return open_index(out_dir)


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


def _active_pairs(
    sae: "SAE", model: "LoadedModel", tokens: NDArray[np.int32]
) -> ActivePairs:
    """The non-zero activations of chunks [n, context_size], BOS left out.

    Raises:
        DamagedError: an activation is not finite.
    """
    import torch

    from tinysae.model.forward import activations

    parts: list[ActivePairs] = []
    rows = np.flatnonzero(tokens.ravel() != model.bos_id)
    rows_at_once = max(1, ACTIVATIONS_AT_ONCE // sae.d_sae)
    with torch.inference_mode():
        x = activations(model, torch.from_numpy(tokens).long(), sae.hook_name)
        x = x.flatten(0, 1)[torch.from_numpy(rows).to(x.device)]
        # NaN is not above 0, so that it has to be looked for before the SAE.
        is_finite = bool(x.isfinite().all())
        for first in range(0, max(1, len(rows)), rows_at_once):
            part = x[first : first + rows_at_once]
            acts = sae.encode(part).float().cpu().numpy().ravel()
            # By far the fastest dense search: 0.4 ns an element.
            at = np.flatnonzero(acts > 0)
            row, feature = np.divmod(at, sae.d_sae)
            parts.append(ActivePairs(rows[first + row], feature, acts[at]))
    pairs = ActivePairs(*map(np.concatenate, zip(*parts, strict=True)))
    if not (is_finite and np.isfinite(pairs.value).all()):
        raise DamagedError("features_not_finite")
    return pairs


def _logits(sae: "SAE", model: "LoadedModel") -> dict[LogitKind, ExtremeLogits]:
    logits: dict[LogitKind, ExtremeLogits] = {
        "raw": extreme_logits(sae.W_dec, model.W_U, N_LOGITS)
    }
    if (weight := model.final_norm_weight) is not None:
        centred = model.bridge.cfg.normalization_type != "RMS"
        directions = folded(sae.W_dec, weight, centred=centred)
        logits["folded"] = extreme_logits(directions, model.W_U, N_LOGITS)
    return logits
