"""One answer as a picture: what attention carries, and what an SAE's features make of
it. No drawing here, only the numbers.

Lamps are an SAE's active features and what it misses. What they add to the logit
directly, with `Picture.rest`, is the logit (see `attribution`).

`effect` is another question: what is lost without a part, with all that follows,
foretold without taking it out. Of an arc it is integrated over its head's way off (see
`arcs`), of a lamp the live slope of the logit times the lamp. What is really lost is
measured by taking the part out (`cuts`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tinysae.features.why.arcs import POINTS, along_the_way, by_arc
from tinysae.features.why.attribution import Attribution, Part, attribute
from tinysae.features.why.gradients import slopes, watched
from tinysae.features.why.intervene import LEADING_COST, direction
from tinysae.model.attention import attended
from tinysae.model.circuit import d_head
from tinysae.model.cores import cores_for

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.attention import Attended
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

_K = TypeVar("_K")

# More lines are a grey mass.
MAX_ARCS, MAX_LAMPS = 200, 60
# Lamps that threads lead to: each costs a pass backwards.
MAX_THREADED = 16


class Arc(NamedTuple):
    """What a head carries from one token to another.

    Attributes:
        layer: of the head.
        head: its number.
        to: the token that takes it, BOS being 0.
        source: the token it is taken from.
        pattern: the share of the head's attention, 0 to 1.
        effect: what is lost without it, foretold (see `arcs`).
    """

    layer: int
    head: int
    to: int
    source: int
    pattern: float
    effect: float


class Thread(NamedTuple):
    """What goes from an arc through a lamp: their places in the picture, and the slope
    of the logit by the lamp's activation, times that by the arc's."""

    arc: int
    lamp: int
    effect: float


class Cut(NamedTuple):
    """What is taken out together, by places in the picture."""

    arcs: tuple[int, ...] = ()
    lamps: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A logit, or the difference of two, as lamps and arcs, the largest effect first.

    Attributes:
        attribution: the logit, taken apart.
        lamps: features and the SAE's error; their `effect` is by the live slope.
        arcs: what attention carries.
        carried: what each arc adds to its head's output, [n_arcs, d_head].
        threads: from arcs to the first lamps.
    """

    attribution: Attribution
    lamps: tuple[Part, ...]
    arcs: tuple[Arc, ...]
    carried: "Tensor"
    threads: tuple[Thread, ...]

    @property
    def rest(self) -> float:
        """What no lamp adds directly: biases, and layers that the SAE does not
        read."""
        lit = sum(lamp.direct for lamp in self.lamps)
        return sum(part.direct for part in self.attribution.features) - lit

    @cached_property
    def words(self) -> dict[int, Cut]:
        """Token -> all that is carried from it, the largest effect first."""
        return self._grouped(lambda arc: arc.source)

    @cached_property
    def heads(self) -> dict[tuple[int, int], Cut]:
        """Layer and head -> all that it carries, the largest effect first."""
        return self._grouped(lambda arc: (arc.layer, arc.head))

    def effect(self, cut: Cut) -> float:
        """What is foretold to be lost without it."""
        return sum(self.arcs[place].effect for place in cut.arcs) + sum(
            self.lamps[place].effect for place in cut.lamps
        )

    def _grouped(self, key: Callable[[Arc], _K]) -> dict[_K, Cut]:
        groups: dict[_K, list[int]] = {}
        for place, arc in enumerate(self.arcs):
            groups.setdefault(key(arc), []).append(place)
        cuts = {name: Cut(arcs=tuple(places)) for name, places in groups.items()}
        return dict(sorted(cuts.items(), key=lambda item: -abs(self.effect(item[1]))))


def picture_of(
    model: "LoadedModel",
    ids: Sequence[int],
    target: int,
    other: int | None,
    sae: "SAE",
) -> Picture:
    """The picture of the logit of `target` after `ids` (minus that of `other`).

    Raises:
        InputError: as `attribute`, or a model that does not show its heads' values.
    """
    import torch

    found = attribute(model, ids, target, other, sae=sae)
    layers = attended(model, ids)
    tokens = model.to_input(ids)
    pass_cost = 3 * model.n_parameters * tokens.numel()
    n_passes = int(LEADING_COST / pass_cost)
    with model.lock, cores_for(pass_cost), torch.enable_grad():
        seen = watched(model, tokens, sae.hook_name)
        logit = seen.logits[target]
        if other is not None:
            logit = logit - seen.logits[other]
        slope = slopes(seen, logit)
        assert seen.hook is not None
        assert slope.hook is not None
        acts = sae.encode(seen.hook[0].float().cpu())
        x = seen.hook.detach()[0].float().cpu()
        lamps = _lamps(found, sae, x, slope.hook.float().cpu())
        features = [at for at, lamp in enumerate(lamps) if lamp.kind == "feature"]
        threaded = features[: min(MAX_THREADED, n_passes)]
        at_position = [lamps[at].position for at in threaded]
        ends = acts[at_position, [lamps[at].number for at in threaded]]
        to_lamps = slopes(seen, ends).heads
        integrated = along_the_way(
            model, tokens, found, slope.heads, n_passes // len(POINTS)
        )
    effects = by_arc(layers, integrated)
    at = _largest(effects)
    places = list(zip(*(axis.tolist() for axis in at), strict=True))
    arcs = tuple(
        Arc(layer, head, to, source, float(layers[layer].pattern[head, to, source]), e)
        for (layer, head, to, source), e in zip(
            places, effects[at].tolist(), strict=True
        )
    )
    carried = _carried(model, layers, arcs)
    through = _through(to_lamps, arcs, carried)
    # Of the logit, for each unit of a lamp's activation.
    weights = [lamps[at].effect / (lamps[at].activation or 1.0) for at in threaded]
    threads = [
        Thread(arc, lamp, weight * e)
        for lamp, weight, each in zip(threaded, weights, through.tolist(), strict=True)
        for arc, e in enumerate(each)
        if e
    ]
    return Picture(found, tuple(lamps), arcs, carried, tuple(threads))


def _lamps(found: Attribution, sae: "SAE", x: "Tensor", slope: "Tensor") -> list[Part]:
    """Features and the SAE's error with their effects by `slope` [pos, d], the largest
    first; x [pos, d] is what the SAE reads."""
    import torch

    lamps: list[Part] = []
    with torch.no_grad():
        missed = x - sae.decode(sae.encode(x))
        for part in found.features:
            if part.kind == "feature":
                step = (part.activation or 0.0) * direction(sae, part.number or 0)
                effect = float(step @ slope[part.position or 0])
                lamps.append(part._replace(effect=effect))
            elif part.kind == "sae_error":
                lamps.append(part._replace(effect=float((missed * slope).sum())))
    return sorted(lamps, key=lambda part: -abs(part.effect))[:MAX_LAMPS]


def _carried(
    model: "LoadedModel", layers: "Sequence[Attended]", arcs: Sequence[Arc]
) -> "Tensor":
    import torch

    if not arcs:
        return torch.zeros(0, d_head(model))
    values = [layers[arc.layer].values[arc.head, arc.source] for arc in arcs]
    pattern = torch.tensor([arc.pattern for arc in arcs])
    return pattern[:, None] * torch.stack(values).float().cpu()


def _through(
    slopes: "Sequence[Tensor]", arcs: Sequence[Arc], carried: "Tensor"
) -> "Tensor":
    """What each arc adds to each of n numbers, [n, n_arcs], whose slopes by the heads
    are [layer][n, pos, n_heads * d_head]."""
    import torch

    if not arcs:
        return torch.zeros(len(slopes[0]), 0)
    width = carried.shape[1]
    at_heads = [layer.float().cpu().unflatten(-1, (-1, width)) for layer in slopes]
    at_arcs = [at_heads[arc.layer][:, arc.to, arc.head] for arc in arcs]
    return torch.einsum("and,ad->na", torch.stack(at_arcs), carried)


def _largest(effects: "Tensor") -> "tuple[Tensor, ...]":
    """The places of the `MAX_ARCS` largest that are something at all, as an index."""
    import torch

    flat = effects.flatten()
    order = flat.abs().argsort(descending=True)[:MAX_ARCS]
    return torch.unravel_index(order[flat[order] != 0], effects.shape)
