"""SAELens's own training step: for whatever ours does not do, and as our measure."""

import math
import time
from typing import TYPE_CHECKING, Any

from tinysae.sae.step.result import StepResult

if TYPE_CHECKING:
    from torch import Tensor


class SAELensStep:
    """SAELens's own step with the interface of ours."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def step(self, batch: "Tensor") -> StepResult:
        """One step on raw activations [tokens, d_in]."""
        import torch

        sae = self._trainer.sae
        output = self._trainer.step(batch)

        def l0() -> float:
            return output.feature_acts.bool().float().sum(-1).to_dense().mean().item()

        def l1() -> float:
            acts = output.feature_acts.detach().float()
            # Activations of these are times the decoder's norms already.
            if not getattr(sae.cfg, "rescale_acts_by_decoder_norm", False):
                acts = acts * sae.W_dec.detach().float().norm(dim=-1)
            return acts.sum(-1).mean().item()

        def squared_error() -> "Tensor":
            return (output.sae_out - output.sae_in.float()).detach().pow(2).sum(-1)

        # Together: on a GPU each number that is asked for is waited for.
        numbers = torch.stack([*output.losses.values(), output.loss]).tolist()
        losses = dict(zip(output.losses, numbers, strict=False))
        return StepResult(numbers[-1], losses, output.sae_in, l0, l1, squared_error)


def dense_step_seconds(trainer: Any, d_in: int) -> float:
    """How long SAELens's own step takes here, for the page to say how much faster ours
    is: measured on a copy with few features, to which its time is proportional.

    `trainer` is a fresh one whose SAE may be changed. The batch is noise: a dense
    step takes as long on any.
    """
    import torch

    batch = torch.randn(trainer.cfg.train_batch_size_samples, d_in)
    batch = batch.to(trainer.sae.device, trainer.sae.dtype)
    step, took = SAELensStep(trainer), math.inf
    # The first one also warms up.
    for _ in range(2):
        started = time.perf_counter()
        # Its losses are numbers by then, also on a device that answers later.
        step.step(batch)
        took = min(took, time.perf_counter() - started)
    return took
