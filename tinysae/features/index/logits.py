"""Which next tokens a feature makes likelier: its decoder direction, unembedded.

    raw:    W_dec @ W_U
    folded: ((W_dec - mean over d_model of each row) * w) @ W_U,
            w the final LayerNorm's weight (an RMSNorm leaves the mean in)

`raw` is the projection of the usual SAE tutorials, on the model's own, unprocessed
weights. A model's LayerNorm first takes away the mean and then multiplies by w, which
`raw` leaves out and `folded` puts in; both leave out its division by the norm, which
depends on the token. Both are the change in logits for one unit of activation, not
centred over the vocabulary: adding a constant to all logits changes no probability.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.features.index import kernels
from tinysae.features.index.records import N_LOGIT_BINS, logit_edges

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.blas import Product

# Rows of a product that is looked through at once.
_ROWS = 256

Floats = NDArray[np.float32]


class ExtremeLogits(NamedTuple):
    """The tokens a feature pushes up most and down most, the extreme one first.

    promoted, suppressed [d_sae, n]: token ids; with their logits.
    low, high [d_sae]: the smallest and the largest logit; counts [d_sae, N_LOGIT_BINS]:
    all of them in equal bins between those two (`logit_edges`).
    """

    promoted: NDArray[np.int32]
    promoted_logit: Floats
    suppressed: NDArray[np.int32]
    suppressed_logit: Floats
    low: Floats
    high: Floats
    counts: NDArray[np.int32]


class TokenFeatures(NamedTuple):
    """The features that push each token up most and down most, the extreme one first.

    All [d_vocab, n]: feature numbers and logits.
    """

    raised_by: NDArray[np.int32]
    raised: Floats
    lowered_by: NDArray[np.int32]
    lowered: Floats


def folded(W_dec: "Tensor", norm_weight: "Tensor", *, centred: bool) -> "Tensor":
    """Decoder directions [d_sae, d_model] as they leave the final normalisation.

    `centred`: whether it takes away the mean (LayerNorm) or not (RMSNorm).
    """
    if centred:
        W_dec = W_dec - W_dec.mean(dim=-1, keepdim=True)
    return W_dec * norm_weight


def extreme_logits(
    directions: Floats,
    W_U: Floats,
    n: int,
    product: "Product",
    pool: Executor,
) -> ExtremeLogits:
    """The `n` largest and smallest logits of every direction, and how all are spread.

    directions [d_sae, d_model], W_U [d_vocab, d_model]. Of equals, torch chooses.
    """

    def rows(begin: int) -> tuple[NDArray[Any], ...]:
        logits = product(directions[begin : begin + _ROWS], W_U)
        promoted, promoted_logit, suppressed, suppressed_logit = _extremes(logits, n)
        low, high = suppressed_logit[:, 0], promoted_logit[:, 0]
        counts = np.zeros((len(logits), N_LOGIT_BINS), np.int32)
        kernels.row_histograms(logits, logit_edges(low, high), counts)
        top = (promoted, promoted_logit, suppressed, suppressed_logit)
        return (*top, low, high, counts)

    return ExtremeLogits(*_joined(pool.map(rows, range(0, len(directions), _ROWS))))


def token_features(
    directions: Floats, W_U: Floats, n: int, product: "Product", pool: Executor
) -> TokenFeatures:
    """The `n` features with the largest and with the smallest logit of every token."""

    def rows(begin: int) -> tuple[NDArray[Any], ...]:
        return _extremes(product(W_U[begin : begin + _ROWS], directions), n)

    return TokenFeatures(*_joined(pool.map(rows, range(0, len(W_U), _ROWS))))


def _extremes(rows: Floats, n: int) -> tuple[NDArray[Any], ...]:
    """Of every row: where the largest are, the largest; the same of the smallest."""
    import torch

    values = torch.from_numpy(rows)
    n = min(n, rows.shape[1])
    up, down = values.topk(n), values.topk(n, largest=False)
    return (
        up.indices.int().numpy(),
        up.values.numpy(),
        down.indices.int().numpy(),
        down.values.numpy(),
    )


def _joined(
    parts: Iterator[tuple[NDArray[Any], ...]],
) -> Iterator[NDArray[Any]]:
    return map(np.concatenate, zip(*parts, strict=True))
