"""One answer as a picture: what attention carries, and what an SAE's features make of
it. No drawing here, only the numbers.

Lamps are an SAE's active features and what it misses. What they add to the logit
directly, with `Picture.rest`, is the logit (see `attribution`). There may be SAEs of
other hooks beside it: each explains all that goes through its hook, so that their lamps
are no parts of that sum, and links lead from the lamps of a hook to those of the next.

`effect` is another question: what is lost without a part, with all that follows,
foretold without taking it out. Of an arc it is integrated over its head's way off (see
`arcs`), of a lamp the live slope of the logit times the lamp. What is really lost is
measured by taking the part out (`cuts`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tinysae.features.fit import check_same_model
from tinysae.features.why.arcs import POINTS, along_the_way, by_arc
from tinysae.features.why.attribution import Attribution, Part, attribute
from tinysae.features.why.gradients import slopes, watched
from tinysae.features.why.intervene import LEADING_COST
from tinysae.features.why.lamps import HookLamps, at_hook
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
MAX_ARCS = 200
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


class Link(NamedTuple):
    """What goes from a lamp to one of the next hook: their places in the picture, and
    the slope of the logit by the second's activation, times that by the first."""

    source: int
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
        threads: from arcs to the first lamps of the next hook.
        hooks: the SAEs', in the order in which the model comes to them.
        links: from lamps to the first lamps of the next hook.
    """

    attribution: Attribution
    lamps: tuple[Part, ...]
    arcs: tuple[Arc, ...]
    carried: "Tensor"
    threads: tuple[Thread, ...]
    hooks: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def rest(self) -> float:
        """What no lamp of the SAE adds directly: biases, and layers that it does not
        read."""
        lit = sum(
            lamp.direct
            for lamp in self.lamps
            if lamp.hook_name == self.attribution.hook_name
        )
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
    more: "Sequence[SAE]" = (),
) -> Picture:
    """The picture of the logit of `target` after `ids` (minus that of `other`).

    Args:
        model: whose logit.
        ids: the text, without BOS.
        target: a token.
        other: another one, or none.
        sae: of this model.
        more: others of it, each at a hook of its own.

    Raises:
        InputError: as `attribute`, or a model that does not show its heads' values.
    """
    import torch

    found = attribute(model, ids, target, other, sae=sae)
    for each in more:
        check_same_model(each, model)
    saes = {each.hook_name: each for each in (*more, sae)}
    hooks = tuple(hook for hook in model.hooks if hook in saes)
    layers = attended(model, ids)
    tokens = model.to_input(ids)
    pass_cost = 3 * model.n_parameters * tokens.numel()
    n_passes = int(LEADING_COST / pass_cost)
    with model.lock, cores_for(pass_cost), torch.enable_grad():
        seen = watched(model, tokens, sae.hook_name, [e.hook_name for e in more])
        logit = seen.logits[target]
        if other is not None:
            logit = logit - seen.logits[other]
        slope = slopes(seen, logit)
        at_hooks = [
            HookLamps(
                saes[hook],
                at_hook(seen, hook)[0].float().cpu(),
                at_hook(slope, hook).float().cpu(),
            )
            for hook in hooks
        ]
        lamps = [lamp for each in at_hooks for lamp in each.lamps(found)]
        lamps.sort(key=lambda lamp: -abs(lamp.effect))
        ends = [_threaded(lamps, hook)[:n_passes] for hook in hooks]
        slopes_to = [
            slopes(seen, each.values([lamps[place] for place in places]))
            if places
            else None
            for each, places in zip(at_hooks, ends, strict=True)
        ]
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
    threads: list[Thread] = []
    links: list[Link] = []
    for place, (here, slope) in enumerate(zip(ends, slopes_to, strict=True)):
        if slope is None:
            continue
        # Of the logit, for each unit of a lamp's activation.
        weights = torch.tensor(
            [lamps[at].effect / (lamps[at].activation or 1.0) for at in here]
        )
        into = [at for at, arc in enumerate(arcs) if _next(hooks, arc.layer) == place]
        some = [arcs[at] for at in into]
        through = weights[:, None] * _through(slope.heads, some, carried[into])
        threads += _joined(Thread, into, here, through)
        if not place:
            continue
        below = at_hooks[place - 1]
        lower = [at for at, e in enumerate(lamps) if e.hook_name == hooks[place - 1]]
        by = at_hook(slope, hooks[place - 1]).float().cpu()
        if lower:
            linked = torch.stack([below.along(lamps[at], by) for at in lower], 1)
            links += _joined(Link, lower, here, weights[:, None] * linked)
    return Picture(
        found, tuple(lamps), arcs, carried, tuple(threads), hooks, tuple(links)
    )


def _threaded(lamps: Sequence[Part], hook_name: str) -> list[int]:
    """The places of the leading features of a hook."""
    own = (at for at, lamp in enumerate(lamps) if lamp.hook_name == hook_name)
    return [at for at in own if lamps[at].number is not None][:MAX_THREADED]


def _next(hooks: Sequence[str], layer: int) -> int:
    """The place of the first hook that comes after the heads of `layer`; that of none
    where no hook does."""
    after = (at for at, hook in enumerate(hooks) if hook_height(hook) >= layer)
    return next(after, len(hooks))


def hook_height(hook_name: str) -> float:
    """The layer whose heads come just before the hook, or half a layer less."""
    _, layer, name = hook_name.split(".")
    return int(layer) - 0.5 if name == "hook_resid_pre" else int(layer)


def _joined(
    kind: Callable[[int, int, float], _K],
    sources: Sequence[int],
    lamps: Sequence[int],
    effects: "Tensor",
) -> list[_K]:
    """What is not nothing of `effects` [n_lamps, n_sources]."""
    return [
        kind(source, lamp, effect)
        for lamp, row in zip(lamps, effects.tolist(), strict=True)
        for source, effect in zip(sources, row, strict=True)
        if effect
    ]


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
