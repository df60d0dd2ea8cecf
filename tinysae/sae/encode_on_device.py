"""Which features of an SAE are active, found by a GPU."""

from typing import TYPE_CHECKING

import numpy as np

from tinysae.sae.encode import Encoder
from tinysae.sae.step.pairs import Floats, Pairs

if TYPE_CHECKING:
    import torch

    from tinysae.sae.load import SAE

# Activations computed at once: 256 MB, and a few times as much on the way.
ACTIVATIONS_AT_ONCE = 1 << 26


def encoder_for(sae: "SAE", device: "torch.device") -> Encoder:
    """What finds the active pairs of `sae` fastest beside a model on `device`."""
    return DeviceEncoder(sae, device) if device.type == "cuda" else Encoder(sae)


class DeviceEncoder(Encoder):
    """An `Encoder` whose activations are computed on `device`, by their definition
    (`SAE.encode`), and of which only the pairs come back."""

    def __init__(self, sae: "SAE", device: "torch.device | str") -> None:
        super().__init__(sae)
        self._sae, self.bits = sae.to(device), str(device)

    def pairs(self, x: Floats, token: int = 0) -> list[Pairs]:
        """As `Encoder.pairs`: pieces of all features, some tokens each."""
        import torch

        n = max(1, ACTIVATIONS_AT_ONCE // self.d_sae)
        with torch.inference_mode():
            return [
                self._of_some(x[at : at + n], token + at) for at in range(0, len(x), n)
            ]

    def _of_some(self, x: Floats, token: int) -> Pairs:
        import torch

        # By feature, and of each by token.
        acts = self._sae.encode(torch.from_numpy(x).to(self._sae.W_enc.device)).T
        feature, at = acts.nonzero(as_tuple=True)
        first = np.zeros(self.d_sae + 1, np.int64)
        counts = feature.bincount(minlength=self.d_sae)
        np.cumsum(counts.cpu().numpy(), out=first[1:])
        return Pairs(
            begin=0,
            first=first,
            token=(at + token).int().cpu().numpy(),
            value=acts[feature, at].cpu().numpy(),
        )
