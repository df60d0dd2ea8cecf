"""One answer as a picture: what attention carries, and what an SAE's features make of
it. No drawing here, only the numbers.

Lamps are an SAE's active features and what it misses. What they add to the logit
directly, with `Picture.rest`, is the logit (see `attribution`).

An arc is what one head takes from one token to another: attention's pattern, times the
value that is there. With the slope of the logit at the head's output (live norms, as
gradient times activation) it adds about

    effect = A[to, source] v[source] . d logit / d head[to]

of which a thread is what goes through one lamp, by the slope of its activation instead.
What an arc, a word, a head or a lamp really does is measured: `without` takes it out.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tinysae.features.why.attribution import Attribution, Part, attribute
from tinysae.features.why.gradients import Seen, head_gradients, only_last
from tinysae.features.why.intervene import LEADING_COST, direction
from tinysae.model.attention import Attended, attended
from tinysae.model.circuit import changing, changing_heads, d_head, head_slice
from tinysae.model.cores import cores_for
from tinysae.model.forward import running

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.circuit import Change
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
        effect: what it adds to the logit with all that follows (estimated).
    """

    layer: int
    head: int
    to: int
    source: int
    pattern: float
    effect: float


class Thread(NamedTuple):
    """What an arc adds to the logit through a lamp: their places in the picture, and
    the effect (estimated)."""

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
        lamps: features and the SAE's error.
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
        """What is said to be lost without it."""
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
    lit = [part for part in found.features if part.kind in ("feature", "sae_error")]
    lamps = sorted(lit, key=lambda part: -abs(part.effect))[:MAX_LAMPS]
    tokens = model.to_input(ids)
    pass_cost = 3 * model.n_parameters * tokens.numel()
    n_threaded = min(MAX_THREADED, int(LEADING_COST / pass_cost))
    features = [place for place, lamp in enumerate(lamps) if lamp.kind == "feature"]
    threaded = features[:n_threaded]

    def ends(seen: Seen) -> "list[Tensor]":
        logit = seen.logits[target]
        if other is not None:
            logit = logit - seen.logits[other]
        assert seen.hook is not None
        acts = sae.encode(seen.hook[0].float().cpu())
        chosen = [lamps[place] for place in threaded]
        return [logit, *(acts[lamp.position, lamp.number] for lamp in chosen)]

    layers = attended(model, ids)
    with model.lock, cores_for(pass_cost), torch.enable_grad():
        slopes = head_gradients(model, tokens, sae.hook_name, ends)
    effects = _by_arc(layers, slopes[0])
    at = _largest(effects)
    places = list(zip(*(axis.tolist() for axis in at), strict=True))
    arcs = tuple(
        Arc(layer, head, to, source, float(layers[layer].pattern[head, to, source]), e)
        for (layer, head, to, source), e in zip(
            places, effects[at].tolist(), strict=True
        )
    )
    carried = [
        arc.pattern * layers[arc.layer].values[arc.head, arc.source].float().cpu()
        for arc in arcs
    ]
    threads: list[Thread] = []
    for lamp, slope in zip(threaded, slopes[1:], strict=True):
        # Of the logit, for each unit of the activation.
        weight = lamps[lamp].effect / (lamps[lamp].activation or 1.0)
        through = (_by_arc(layers, slope)[at] * weight).tolist()
        threads += [Thread(arc, lamp, e) for arc, e in enumerate(through) if e]
    return Picture(
        found,
        tuple(lamps),
        arcs,
        torch.stack(carried) if carried else torch.zeros(0, d_head(model)),
        tuple(threads),
    )


def _by_arc(layers: "Sequence[Attended]", slope: "Sequence[Tensor]") -> "Tensor":
    """What every arc adds, [layer, head, to, source], where `slope` [layer][pos,
    n_heads * d_head] is that of the heads' output."""
    import torch

    each: list[Tensor] = []
    for (pattern, values), grad in zip(layers, slope, strict=True):
        n_heads, n_positions, width = values.shape
        apart = grad.reshape(n_positions, n_heads, width)
        toward = torch.einsum("hsd,qhd->hqs", values, apart)
        each.append((pattern * toward).float().cpu())
    return torch.stack(each)


def _largest(effects: "Tensor") -> "tuple[Tensor, ...]":
    """The places of the `MAX_ARCS` largest that are something at all, as an index."""
    import torch

    flat = effects.flatten()
    order = flat.abs().argsort(descending=True)[:MAX_ARCS]
    return torch.unravel_index(order[flat[order] != 0], effects.shape)


def affordable(model: "LoadedModel", picture: Picture) -> int:
    """Cuts that may be measured without being asked for: a second or two's."""
    cost = model.n_parameters * picture.attribution.n_tokens
    return int(LEADING_COST / cost)


def without(
    model: "LoadedModel", picture: Picture, cuts: Sequence[Cut], sae: "SAE"
) -> "Tensor":
    """Logits of the next token, [1 + n_cuts, d_vocab]: as the model is, then with each
    of `cuts` by itself taken out, all in one forward."""
    tokens = model.to_input(picture.attribution.ids)
    rows = tokens.expand(1 + len(cuts), -1)
    layers = sorted({picture.arcs[arc].layer for cut in cuts for arc in cut.arcs})
    with running(model, rows.numel()), ExitStack() as stack:
        for layer in layers:
            change = _less_arcs(model, picture, cuts, layer)
            stack.enter_context(changing_heads(model, layer, change))
        if any(cut.lamps for cut in cuts):
            dark = _less_lamps(picture, cuts, sae)
            stack.enter_context(changing(model, sae.hook_name, dark))
        logits = model.plain(rows, use_cache=False, **only_last(model)).logits
    return logits[:, -1].float().cpu()


def lost(picture: Picture, logits: "Tensor") -> list[float]:
    """What the logit (or difference) lost by each cut, from what `without` found."""
    found = picture.attribution
    values = logits[:, found.target]
    if found.other is not None:
        values = values - logits[:, found.other]
    return (values[0] - values[1:]).tolist()


def _less_arcs(
    model: "LoadedModel", picture: Picture, cuts: Sequence[Cut], layer: int
) -> "Change":
    def change(heads: "Tensor") -> "Tensor":
        moved = heads.clone()
        for row, cut in enumerate(cuts, 1):
            for place in cut.arcs:
                arc = picture.arcs[place]
                if arc.layer == layer:
                    at = head_slice(model, arc.head)
                    moved[row, arc.to, at] -= picture.carried[place].to(moved)
        return moved

    return change


def _less_lamps(picture: Picture, cuts: Sequence[Cut], sae: "SAE") -> "Change":
    def change(x: "Tensor") -> "Tensor":
        moved = x.clone()
        for row, cut in enumerate(cuts, 1):
            for place in cut.lamps:
                lamp = picture.lamps[place]
                if lamp.number is None:
                    seen = x[row].float().cpu()
                    moved[row] -= (seen - sae.decode(sae.encode(seen))).to(moved)
                else:
                    step = (lamp.activation or 0.0) * direction(sae, lamp.number)
                    moved[row, lamp.position] -= step.to(moved)
        return moved

    return change
