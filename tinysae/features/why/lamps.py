"""An SAE's features, and what it misses, in one forward: as lamps of a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tinysae.features.why.attribution import Attribution, Part
from tinysae.features.why.intervene import direction

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.gradients import Seen, Slopes
    from tinysae.sae.load import SAE

MAX_LAMPS = 60


def at_hook(of: "Seen | Slopes", hook_name: str) -> "Tensor":
    """What was seen at an SAE's hook, or the slopes there."""
    if hook_name in of.others:
        return of.others[hook_name]
    assert of.hook is not None
    return of.hook


@dataclass(frozen=True, eq=False)
class HookLamps:
    """What an SAE makes of its hook.

    Attributes:
        sae: whose features.
        x: the activations there, [pos, d_in], with their gradient.
        slope: of the logit there, [pos, d_in].
    """

    sae: "SAE"
    x: "Tensor"
    slope: "Tensor"

    @cached_property
    def acts(self) -> "Tensor":
        """[pos, d_sae], with their gradient."""
        return self.sae.encode(self.x)

    @cached_property
    def missed(self) -> "Tensor":
        """What no feature explains, [pos, d_in]."""
        return (self.x - self.sae.decode(self.acts)).detach()

    def lamps(self, found: Attribution) -> list[Part]:
        """The largest effects first. What a lamp adds directly is part of one sum: that
        of the SAE by which the logit was taken apart; of another one it is 0."""
        hook = self.sae.hook_name
        if hook == found.hook_name:
            kinds = ("feature", "sae_error")
            parts = [part for part in found.features if part.kind in kinds]
        else:
            parts = self._active()
        lamps = [
            part._replace(effect=float(self.along(part, self.slope)), hook_name=hook)
            for part in parts
        ]
        return sorted(lamps, key=lambda part: -abs(part.effect))[:MAX_LAMPS]

    def along(self, lamp: Part, slope: "Tensor") -> "Tensor":
        """What `lamp` adds to what has `slope` [..., pos, d_in] here, [...]."""
        if lamp.number is None:
            return (self.missed * slope).sum((-2, -1))
        step = (lamp.activation or 0.0) * direction(self.sae, lamp.number)
        return slope[..., lamp.position or 0, :] @ step

    def values(self, lamps: Sequence[Part]) -> "Tensor":
        """The features' activations, with their gradient, [n]."""
        return self.acts[[e.position for e in lamps], [e.number for e in lamps]]

    def _active(self) -> list[Part]:
        acts, rows = self.acts.detach(), self.sae.W_dec
        if self.sae.rescale_acts_by_decoder_norm:
            rows = rows / rows.norm(dim=-1, keepdim=True)
        position, feature = acts.nonzero(as_tuple=True)
        value = acts[position, feature]
        effect = value * (rows[feature] * self.slope[position]).sum(-1)
        # All at once: what is left out is not looked at one by one.
        order = effect.abs().argsort(descending=True)[:MAX_LAMPS]
        order = order[effect[order] != 0]
        columns = (feature[order], position[order], value[order])
        parts = [
            Part("feature", 0.0, 0.0, None, number, at, value)
            for number, at, value in zip(*(c.tolist() for c in columns), strict=True)
        ]
        return [*parts, Part("sae_error", 0.0, 0.0)]
