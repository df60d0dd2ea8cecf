r"""What if a feature were off? The change in the model's next-token log-probs.

At the SAE's hook the feature's part is taken out of the activation and everything else,
what the SAE does not explain included, stays:

    x' = x - a_f d_f        d_f: the feature's row of W_dec (divided by its norm where
                            the SAE's decoder does that)

so that the difference is the feature's own doing, and none of the reconstruction
error's (Marks et al. 2024, "Sparse feature circuits", keep the error term likewise).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import InputError
from tinysae.features.fit import check_fit
from tinysae.features.why.intervene import before_and_after, direction

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_CHANGED = 8


class ChangedToken(NamedTuple):
    """A next token and its log-prob with the feature and without it."""

    token: int
    log_prob: float
    log_prob_off: float

    @property
    def prob(self) -> float:
        return math.exp(self.log_prob)

    @property
    def prob_off(self) -> float:
        return math.exp(self.log_prob_off)


class Ablation(NamedTuple):
    """What a text's log-probs become when one feature is off in all of it.

    change [n_tokens]: of each token's log-prob, given what is before it; NaN for the
    first, before which nothing is. activations [n_tokens]: the feature's. position:
    where it is strongest; there fallen and risen are the next tokens whose
    probabilities change the most.
    """

    change: NDArray[np.float32]
    activations: NDArray[np.float32]
    position: int
    fallen: list[ChangedToken]
    risen: list[ChangedToken]


def ablate(
    sae: "SAE", model: "LoadedModel", tokens: Sequence[int], feature: int
) -> Ablation:
    """Runs `tokens` (BOS included, where there is one) with and without `feature`.

    On BOS the feature is left as it is: it is no part of the text, nor of the index.

    Raises:
        InputError: the SAE does not fit the model, no such feature, or more tokens
            than the model's context.
    """
    import torch

    from tinysae.model.circuit import changing
    from tinysae.model.forward import activations

    check_fit(sae, model)
    row = direction(sae, feature)
    if len(tokens) > model.n_ctx:
        raise InputError("text_beyond_context", n=len(tokens), limit=model.n_ctx)
    ids = torch.tensor([list(tokens)], device=model.plain.device)
    with torch.inference_mode():
        x = activations(model, ids, sae.hook_name).float().cpu()
        acts = sae.encode(x)[..., feature] * (ids.cpu() != model.bos_id)
        without = (x - acts[..., None] * row).to(ids.device)
        off_there = changing(model, sae.hook_name, lambda _: without)
        on, off = before_and_after(model, ids, off_there)
        change = torch.full((len(tokens),), torch.nan)
        actual = ids[0, 1:, None].cpu()
        change[1:] = (off[:-1] - on[:-1]).gather(1, actual)[:, 0]
        position = int(acts[0].argmax())
        # By probability: the log-prob of what never comes moves the most, and says
        # the least.
        moved = off[position].exp() - on[position].exp()
        n = min(N_CHANGED, len(moved))

    def changed(tokens: list[int]) -> list[ChangedToken]:
        return [
            ChangedToken(token, float(on[position, token]), float(off[position, token]))
            for token in tokens
        ]

    fallen, risen = moved.topk(n, largest=False), moved.topk(n)
    return Ablation(
        change.numpy(),
        acts[0].numpy(),
        position,
        changed([t for t in fallen.indices.tolist() if moved[t] < 0]),
        changed([t for t in risen.indices.tolist() if moved[t] > 0]),
    )
