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

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

# Logits computed at once: 64 MB.
LOGITS_AT_ONCE = 1 << 24


class ExtremeLogits(NamedTuple):
    """The tokens a feature pushes up most and down most, the extreme one first.

    All [d_sae, n]: token ids and logits.
    """

    promoted: NDArray[np.int32]
    promoted_logit: NDArray[np.float32]
    suppressed: NDArray[np.int32]
    suppressed_logit: NDArray[np.float32]


def folded(W_dec: "Tensor", norm_weight: "Tensor", *, centred: bool) -> "Tensor":
    """Decoder directions [d_sae, d_model] as they leave the final normalisation.

    `centred`: whether it takes away the mean (LayerNorm) or not (RMSNorm).
    """
    if centred:
        W_dec = W_dec - W_dec.mean(dim=-1, keepdim=True)
    return W_dec * norm_weight


def extreme_logits(directions: "Tensor", W_U: "Tensor", n: int) -> ExtremeLogits:
    """The `n` largest and smallest logits of every direction.

    directions [d_sae, d_model], W_U [d_model, d_vocab]. Of equals, torch chooses.
    """
    import torch

    n = min(n, W_U.shape[1])
    rows = max(1, LOGITS_AT_ONCE // W_U.shape[1])
    parts = []
    with torch.inference_mode():
        for part in directions.split(rows):
            logits = part @ W_U
            parts.append((*logits.topk(n), *logits.topk(n, largest=False)))
    up, up_token, down, down_token = (
        torch.cat(column) for column in zip(*parts, strict=True)
    )
    return ExtremeLogits(
        up_token.to(torch.int32).cpu().numpy(),
        up.float().cpu().numpy(),
        down_token.to(torch.int32).cpu().numpy(),
        down.float().cpu().numpy(),
    )
