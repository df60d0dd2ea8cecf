"""What a training step says of itself."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StepResult:
    """What one step says about itself, before its update of the weights.

    Attributes:
        loss: the sum of `losses`.
        losses: by SAELens's names; coefficients are included.
        sae_in: the scaled activations [tokens, d_in].
        l0: active features a token.
        l1: the sum of a token's activations times the decoder's norms, on average.
        squared_error: |x_hat - x|^2 of each token, [tokens].
    """

    loss: float
    losses: dict[str, float]
    sae_in: "Tensor"
    l0: Callable[[], float]
    l1: Callable[[], float]
    squared_error: "Callable[[], Tensor]"

    def variance(self) -> float:
        """E |x - E x|^2."""
        x = self.sae_in.float()
        return (x - x.mean(0)).pow(2).sum(-1).mean().item()

    def explained_variance(self) -> float:
        """1 - E |x - x_hat|^2 / E |x - E x|^2, as SAELens logs it."""
        variance = self.variance()
        return 1 - self.losses["mse_loss"] / variance if variance else math.nan
