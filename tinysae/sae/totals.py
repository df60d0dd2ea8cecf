"""What activations and their reconstructions add up to, over any number of tokens."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Sums:
    """Streaming sums in float64: Var(x) is a small difference of large numbers."""

    def __init__(self, d_in: int, d_sae: int) -> None:
        import torch

        self.n = 0
        self.x = torch.zeros(d_in, dtype=torch.float64)
        self.x_squared = self.error = self.active = 0.0
        self.x_hat_squared = self.x_hat_x = self.norm = self.max_norm = 0.0
        self.fired = torch.zeros(d_sae, dtype=torch.int64)
        self.n_special, self.special_norm = 0, 0.0

    def add(self, x: "Tensor", x_hat: "Tensor", acts: "Tensor") -> None:
        """Of tokens that count: [n, d_in], [n, d_in] and [n, d_sae]."""
        is_active = acts != 0
        self.n += len(x)
        norms = exact(x).norm(dim=-1)
        self.x += exact(x).sum(0).cpu()
        self.x_squared += norms.pow(2).sum().item()
        self.norm += norms.sum().item()
        self.max_norm = max(self.max_norm, norms.max().item() if len(x) else 0.0)
        self.error += exact(x - x_hat).pow(2).sum().item()
        self.x_hat_squared += exact(x_hat).pow(2).sum().item()
        self.x_hat_x += (exact(x_hat) * exact(x)).sum().item()
        self.active += is_active.sum().item()
        self.fired += is_active.sum(0).cpu()

    def add_special(self, x: "Tensor") -> None:
        """[n, d_in] of tokens that do not count."""
        self.n_special += len(x)
        self.special_norm += exact(x).norm(dim=-1).sum().item()

    @property
    def bias(self) -> float:
        """Below 1 where x_hat is shorter than x; 1 where there is no x_hat at all."""
        return self.x_hat_squared / self.x_hat_x if self.x_hat_x > 0 else 1.0

    @property
    def variance(self) -> float:
        """Of x, summed over d_in."""
        return self.x_squared / self.n - (self.x / self.n).pow(2).sum().item()

    @property
    def explained_variance(self) -> float:
        return 1 - self.error / self.n / self.variance

    @property
    def l0(self) -> float:
        return self.active / self.n


def exact(x: "Tensor") -> "Tensor":
    """`x` in float64, which MPS does not have: on the CPU then."""
    return (x.cpu() if x.device.type == "mps" else x).double()
