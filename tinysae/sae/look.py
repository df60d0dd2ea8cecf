"""A look at an SAE in the middle of its training, on held-out text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.data.corpus import batched
from tinysae.sae.evaluate import evaluate
from tinysae.sae.rows import DENSITY_EDGES, EvalMetrics

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


def look(
    trainer: Any,
    hook_name: str,
    model: "LoadedModel",
    contexts: Sequence[NDArray[np.int32]],
    n_at_once: int,
) -> EvalMetrics:
    """The SAE of SAELens's `trainer` as it is now, on held-out `contexts`, each
    [context_size], `n_at_once` at a time.

    As in SAELens's own evaluations while training, batchtopk keeps the k largest of
    this batch; once saved it has a threshold instead.
    """
    trainer.sae.eval()
    evaluation = evaluate(
        _InTraining(trainer, hook_name),
        model,
        batched(contexts, n_at_once),
        n_ce_batches=len(contexts),
    )
    trainer.sae.train()
    return {
        "step": trainer.n_training_steps,
        "n_tokens": trainer.n_training_samples,
        "ce_loss_score": evaluation.ce_loss_score,
        "explained_variance": evaluation.explained_variance,
        "l0": evaluation.l0,
        "density": _density(firing_rates(trainer)),
    }


def firing_rates(trainer: Any) -> "Tensor":
    """Share of tokens [d_sae] on which each feature fired in the current window."""
    return trainer.act_freq_scores / max(1, trainer.n_frac_active_samples)


def _density(rates: "Tensor") -> list[int]:
    """`EvalMetrics`' density of firing rates [d_sae]."""
    import torch

    logs = rates[rates > 0].log10().clamp(DENSITY_EDGES[0], DENSITY_EDGES[-1])
    edges = torch.tensor(DENSITY_EDGES)
    counts = torch.histogram(logs.float().cpu(), edges).hist.int().tolist()
    return [int((rates == 0).sum()), *counts]


class _InTraining:
    """The SAE in the middle of its training, as an evaluation sees an SAE."""

    def __init__(self, trainer: Any, hook_name: str) -> None:
        self._sae, self.hook_name = trainer.sae, hook_name
        self._scale = trainer.activation_scaler.scaling_factor or 1.0
        self.d_in, self.d_sae = trainer.sae.cfg.d_in, trainer.sae.cfg.d_sae

    def encode(self, x: "Tensor") -> "Tensor":
        return self._sae.encode(x * self._scale)

    def decode(self, acts: "Tensor") -> "Tensor":
        return self._sae.decode(acts) / self._scale
