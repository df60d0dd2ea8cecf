"""A look at an SAE in the middle of its training, on held-out text."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.data.corpus import batched
from tinysae.errors import TinysaeError
from tinysae.sae.evaluate import (
    Part,
    ce_loss_score,
    cross_entropies,
    patched,
    with_parts,
)
from tinysae.sae.rows import DENSITY_EDGES, EvalMetrics
from tinysae.sae.totals import Sums, exact

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


class HeldOutText:
    """Held-out contexts, and what a model makes of them without an SAE: once, however
    often it is looked at."""

    def __init__(
        self,
        model: "LoadedModel",
        hook_name: str,
        contexts: Sequence[NDArray[np.int32]],
        n_at_once: int,
    ) -> None:
        """`contexts` are each [context_size], and go `n_at_once` at a time."""
        self._model, self._hook_name = model, hook_name
        self._contexts, self._n_at_once = contexts, n_at_once

    def look(self, trainer: Any) -> EvalMetrics:
        """The SAE of SAELens's `trainer` as it is now.

        As in SAELens's own evaluations while training, batchtopk keeps the k largest of
        this batch; once saved it has a threshold instead. The formulas are those of
        `sae.evaluate`.

        Raises:
            TinysaeError: the hook's activations are all the same, or change nothing.
        """
        import torch

        trainer.sae.eval()
        with torch.inference_mode():
            sums, with_sae = self._with(trainer)
            clean, zero = self._without
        trainer.sae.train()
        if not (sums.variance > 0 and zero != clean):
            raise TinysaeError("activations_not_finite", hook=self._hook_name[:200])
        return {
            "step": trainer.n_training_steps,
            "n_tokens": trainer.n_training_samples,
            "ce_loss_score": ce_loss_score(clean, with_sae, zero),
            "explained_variance": sums.explained_variance,
            "l0": sums.l0,
            "density": _density(firing_rates(trainer)),
        }

    def _with(self, trainer: Any) -> tuple[Sums, float]:
        """The SAE's sums, and the model's cross-entropy with it in place."""
        sae, scale = trainer.sae, trainer.activation_scaler.scaling_factor or 1.0
        sums = Sums(sae.cfg.d_in, sae.cfg.d_sae)
        losses: list[Tensor] = []
        for tokens, x, parts in self._batches:
            acts = sae.encode(x * scale)
            x_hat = sae.decode(acts) / scale
            kept = tokens != self._model.bos_id
            sums.add(x[kept], x_hat[kept], acts[kept])
            losses += self._losses(tokens, parts, patched(x, x_hat, kept))
        return sums, _mean(losses)

    @cached_property
    def _without(self) -> tuple[float, float]:
        """The model's own cross-entropy, and that with zeros at the hook."""
        import torch

        clean: list[Tensor] = []
        zero: list[Tensor] = []
        for tokens, x, parts in self._batches:
            clean += self._losses(tokens, parts, None)
            zero += self._losses(tokens, parts, torch.zeros_like(x))
        return _mean(clean), _mean(zero)

    @cached_property
    def _batches(self) -> "list[tuple[Tensor, Tensor, list[Part]]]":
        """Tokens [batch, pos], what is at the hook [batch, pos, d_in], and how a
        forward goes on from there."""
        import torch

        device = self._model.plain.device
        batches: list[tuple[Tensor, Tensor, list[Part]]] = []
        for batch in batched(self._contexts, self._n_at_once):
            tokens = torch.from_numpy(batch).long().to(device)
            x, parts = with_parts(self._model, tokens, self._hook_name)
            batches.append((tokens, x, list(parts)))
        return batches

    def _losses(
        self, tokens: "Tensor", parts: Sequence[Part], replacement: "Tensor | None"
    ) -> "Iterator[Tensor]":
        for part in parts:
            yield cross_entropies(self._model, tokens, part, replacement)


def _mean(losses: "Sequence[Tensor]") -> float:
    total = sum(exact(part).sum().item() for part in losses)
    return total / sum(map(len, losses))


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
