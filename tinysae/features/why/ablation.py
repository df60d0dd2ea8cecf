r"""What if a feature were off? The change in the model's next-token log-probs.

At the SAE's hook the feature's part is taken out of the activation and everything else,
what the SAE does not explain included, stays:

    x' = x - a_f d_f        d_f: the feature's row of W_dec (divided by its norm where
                            the SAE's decoder does that)

so that the difference is the feature's own doing, and none of the reconstruction
error's (Marks et al. 2024, "Sparse feature circuits", keep the error term likewise).
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import InputError
from tinysae.features.fit import check_fit
from tinysae.features.why.intervene import (
    Intervention,
    before_and_after,
    direction,
)

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_CHANGED = 8
LEAST_FALL = 0.002


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

    with torch.inference_mode():
        acts, (on, off) = _switched_off(sae, model, tokens, feature)
        change = torch.full((len(tokens),), torch.nan)
        change[1:] = _change_of_actual(on, off, tokens)
        position = int(acts.argmax())
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
        acts.numpy(),
        position,
        changed([t for t in fallen.indices.tolist() if moved[t] < 0]),
        changed([t for t in risen.indices.tolist() if moved[t] > 0]),
    )


class Absence(NamedTuple):
    """What is missing when a feature is off, mean over the tokens on which it is on.

    lost: of the log-prob of what came next, in nats. fallen: the next tokens whose
    probabilities fall by at least `LEAST_FALL`, the one that falls the most first.
    """

    lost: float
    fallen: list[int]


def absence(
    sae: "SAE", model: "LoadedModel", texts: Iterable[Sequence[int]], feature: int
) -> Absence:
    """What is missing from `texts` (each as `ablate`'s) when `feature` is off.

    Raises:
        InputError: as `ablate`.
    """
    import torch

    moved, lost, n = torch.zeros(model.d_vocab), 0.0, 0
    with torch.inference_mode():
        for tokens in texts:
            acts, (on, off) = _switched_off(sae, model, tokens, feature)
            # What comes after the last token is not known.
            is_on = acts[:-1] > 0
            moved += (on[:-1].exp() - off[:-1].exp())[is_on].sum(0)
            lost -= float(_change_of_actual(on, off, tokens)[is_on].sum())
            n += int(is_on.sum())
    if not n:
        return Absence(0.0, [])
    order = moved.argsort(descending=True)
    fallen = order[: int((moved / n >= LEAST_FALL).sum())].tolist()
    return Absence(lost / n, fallen)


def _switched_off(
    sae: "SAE", model: "LoadedModel", tokens: Sequence[int], feature: int
) -> "tuple[Tensor, Intervention]":
    """The feature's activations [n_tokens], and the log-probs with and without it."""
    import torch

    from tinysae.model.circuit import changing
    from tinysae.model.forward import activations

    check_fit(sae, model)
    row = direction(sae, feature)
    if len(tokens) > model.n_ctx:
        raise InputError("text_beyond_context", n=len(tokens), limit=model.n_ctx)
    ids = torch.tensor([list(tokens)], device=model.plain.device)
    x = activations(model, ids, sae.hook_name).float().cpu()
    acts = sae.encode(x)[..., feature] * (ids.cpu() != model.bos_id)
    without = (x - acts[..., None] * row).to(ids.device)
    off_there = changing(model, sae.hook_name, lambda _: without)
    return acts[0], before_and_after(model, ids, off_there)


def _change_of_actual(on: "Tensor", off: "Tensor", tokens: Sequence[int]) -> "Tensor":
    """Of each token's log-prob but the first's, [n_tokens - 1]."""
    import torch

    actual = torch.tensor(list(tokens[1:]))[:, None]
    return (off[:-1] - on[:-1]).gather(1, actual)[:, 0]
