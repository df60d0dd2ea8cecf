"""How good an SAE is, on text that nobody trained on.

The formulas are those of `sae_lens.evals.run_evals`, special tokens excluded as there:

    ce_loss_score      = (CE_zero - CE_sae) / (CE_zero - CE_clean)
    explained_variance = 1 - E||x - x_hat||^2 / Var(x)
    l0                 = mean number of non-zero features a token
    mse                = E||x - x_hat||^2, summed over d_in

CE_clean is the model's own cross-entropy, CE_sae with x_hat in place of x at the hook,
CE_zero with zeros there. x stays in place at special tokens, as in SAELens.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.files import SAE


@dataclass(frozen=True)
class Evaluation:
    """Held-out figures; `n_dead` features fired on none of `n_tokens` tokens."""

    ce_loss_score: float
    ce_loss_clean: float
    ce_loss_sae: float
    ce_loss_zero: float
    explained_variance: float
    mse: float
    l0: float
    n_dead: int
    d_sae: int
    n_tokens: int

    @property
    def dead_share(self) -> float:
        return self.n_dead / self.d_sae

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "dead_share": self.dead_share}


def evaluate(
    sae: "SAE",
    model: "LoadedModel",
    batches: Iterable[NDArray[np.int32]],
    *,
    n_ce_batches: int,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """Evaluates `sae` on `batches` of token ids, each [batch, pos].

    Cross-entropies, which need three whole forwards, are taken on the first
    `n_ce_batches` batches; everything else on all of them. `progress` hears how many
    tokens each batch had; what it raises ends the evaluation.

    Raises:
        ValueError: when there is no batch.
    """
    import torch

    from tinysae.model.forward import activations

    sums = _Sums(sae.d_in, sae.d_sae)
    with torch.inference_mode():
        for index, batch in enumerate(batches):
            tokens = torch.from_numpy(batch).long()
            x = activations(model, tokens, sae.hook_name)
            acts = sae.encode(x)
            x_hat = sae.decode(acts)
            kept = tokens != model.bos_id
            sums.add(x[kept], x_hat[kept], acts[kept])
            if index < n_ce_batches:
                sums.add_ce(*_cross_entropies(model, tokens, sae.hook_name, x, x_hat))
            if progress is not None:
                progress(tokens.numel())
    return sums.evaluation()


def _cross_entropies(
    model: "LoadedModel", tokens: "Tensor", hook_name: str, x: "Tensor", x_hat: "Tensor"
) -> tuple["Tensor", "Tensor", "Tensor"]:
    """Per-token CE (clean, SAE, zero), each [n], where the *source* token counts."""
    import torch

    from tinysae.model.forward import logits_with

    kept = tokens != model.bos_id
    patched = torch.where(kept[..., None], x_hat, x)

    def cross_entropy(replacement: "Tensor | None") -> "Tensor":
        logits = logits_with(model, tokens, hook_name, replacement)
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
        )
        return losses[kept[:, :-1].flatten()]

    return cross_entropy(None), cross_entropy(patched), cross_entropy(x * 0)


class _Sums:
    """Streaming sums in float64: Var(x) is a small difference of large numbers."""

    def __init__(self, d_in: int, d_sae: int) -> None:
        import torch

        self.n = 0
        self.x = torch.zeros(d_in, dtype=torch.float64)
        self.x_squared = self.error = self.active = 0.0
        self.fired = torch.zeros(d_sae, dtype=torch.int64)
        self.ce = torch.zeros(3, dtype=torch.float64)
        self.n_ce = 0

    def add(self, x: "Tensor", x_hat: "Tensor", acts: "Tensor") -> None:
        is_active = acts != 0
        self.n += len(x)
        self.x += x.double().sum(0).cpu()
        self.x_squared += x.double().pow(2).sum().item()
        self.error += (x - x_hat).double().pow(2).sum().item()
        self.active += is_active.sum().item()
        self.fired += is_active.sum(0).cpu()

    def add_ce(self, *losses: "Tensor") -> None:
        self.n_ce += len(losses[0])
        for index, loss in enumerate(losses):
            self.ce[index] += loss.double().sum().item()

    def evaluation(self) -> Evaluation:
        if not self.n or not self.n_ce:
            raise ValueError("nothing to evaluate on")
        clean, with_sae, zero = (self.ce / self.n_ce).tolist()
        variance = self.x_squared / self.n - (self.x / self.n).pow(2).sum().item()
        return Evaluation(
            ce_loss_score=(zero - with_sae) / (zero - clean),
            ce_loss_clean=clean,
            ce_loss_sae=with_sae,
            ce_loss_zero=zero,
            explained_variance=1 - self.error / self.n / variance,
            mse=self.error / self.n,
            l0=self.active / self.n,
            n_dead=int((self.fired == 0).sum()),
            d_sae=len(self.fired),
            n_tokens=self.n,
        )
