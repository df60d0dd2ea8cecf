"""SAELens's parameters and its optimizer as numpy arrays, and their update in place.

`W_enc` [d_in, d_sae] lies in memory as its transpose here, because a feature's gradient
is a row then; `contiguous()` gives the usual layout.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinysae.sae.step.kernels.adam import adam
from tinysae.sae.step.pairs import Floats
from tinysae.sae.step.workers import Workers

if TYPE_CHECKING:
    from torch import Tensor

_MOMENTS = ("exp_avg", "exp_avg_sq")
# Numbers a task of the optimizer's.
_NUMBERS = 1 << 18
# SAELens's `clip_grad_norm_`, and the epsilon in torch's.
_MAX_NORM, _NORM_EPSILON = 1.0, 1e-6


def adopt(trainer: Any) -> dict[str, Floats]:
    """The parameters' own memory by name, W_enc's as [d_sae, d_in].

    Lays out W_enc and its moments by feature, and makes moments if need be.
    """
    import torch

    sae, optimizer = trainer.sae, trainer.optimizer
    _lay_out_by_feature(sae.W_enc)
    for parameter in sae.parameters():
        state = optimizer.state[parameter]
        if not state:
            # As torch's Adam does before its first step.
            state["step"] = torch.tensor(0.0)
            for moment in _MOMENTS:
                state[moment] = torch.zeros_like(parameter)
    for moment in _MOMENTS:
        _lay_out_by_feature(optimizer.state[sae.W_enc][moment])
    return {name: _by_feature(name, p) for name, p in sae.named_parameters()}


def descend(
    trainer: Any,
    weights: dict[str, Floats],
    gradients: dict[str, Floats],
    workers: Workers,
) -> None:
    """Clips the gradients' norm, then Adam: updates weights and moments in place."""
    squares = 0.0
    for gradient in gradients.values():
        rows = gradient if gradient.ndim == 2 else gradient[None]
        squares += float(workers.row_squares(rows).sum(dtype=np.float64))
    clip = min(1.0, _MAX_NORM / (math.sqrt(squares) + _NORM_EPSILON))
    group = trainer.optimizer.param_groups[0]
    beta1, beta2 = group["betas"]
    for name, parameter in trainer.sae.named_parameters():
        state = trainer.optimizer.state[parameter]
        state["step"] += 1
        steps = state["step"].item()
        numbers = (
            *(clip, group["lr"] / (1 - beta1**steps)),
            *(beta1, beta2, 1 / math.sqrt(1 - beta2**steps), group["eps"]),
        )
        arrays = [
            weights[name].reshape(-1),
            *(_by_feature(name, state[moment]).reshape(-1) for moment in _MOMENTS),
            gradients[name].reshape(-1),
        ]
        _in_parts(arrays, numbers, workers)


def _in_parts(
    arrays: list[Floats], numbers: tuple[float, ...], workers: Workers
) -> None:
    def part(at: int) -> None:
        here = slice(at, at + _NUMBERS)
        adam(*(array[here] for array in arrays), *numbers)

    workers.each(part, range(0, len(arrays[0]), _NUMBERS))


def _lay_out_by_feature(tensor: "Tensor") -> None:
    """Puts the memory of a [d_in, d_sae] tensor in its transpose's order."""
    if not tensor.T.is_contiguous():
        tensor.data = tensor.data.T.contiguous().T


def _by_feature(name: str, tensor: "Tensor") -> Floats:
    """The tensor's own memory; W_enc's as [d_sae, d_in]."""
    return (tensor.T if name == "W_enc" else tensor).detach().numpy()
