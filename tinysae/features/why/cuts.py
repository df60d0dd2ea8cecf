"""Parts of a picture taken out of the model, and what is lost: measured."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tinysae.features.why.intervene import LEADING_COST, direction
from tinysae.features.why.picture import Cut, Picture
from tinysae.features.why.rows import rows_from
from tinysae.model.circuit import changing, changing_heads, head_slice
from tinysae.model.forward import running

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.circuit import Change
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE


def affordable(model: "LoadedModel", picture: Picture) -> int:
    """Cuts that may be measured without being asked for: a second or two's."""
    every = [Cut(arcs=(place,)) for place in range(len(picture.arcs))]
    every += [Cut(lamps=(place,)) for place in range(len(picture.lamps))]
    n_positions = picture.attribution.n_tokens - _first(model, picture, every)
    return int(LEADING_COST / (model.n_parameters * n_positions))


def without(
    model: "LoadedModel",
    picture: Picture,
    cuts: Sequence[Cut],
    sae: "SAE",
    more: "Sequence[SAE]" = (),
) -> "Tensor":
    """Logits of the next token, [1 + n_cuts, d_vocab]: as the model is, then with each
    of `cuts` by itself taken out, all in one forward from the first change on.

    Args:
        model: that of the picture.
        picture: whose parts.
        cuts: places in it.
        sae: and `more`, as `picture_of` was given them.
    """
    saes = {each.hook_name: each for each in (sae, *more)}
    lit = {picture.lamps[lamp].hook_name or "" for cut in cuts for lamp in cut.lamps}
    tokens = model.to_input(picture.attribution.ids)
    first, n = _first(model, picture, cuts), 1 + len(cuts)
    layers = sorted({picture.arcs[arc].layer for cut in cuts for arc in cut.arcs})
    n_run = first + n * (tokens.shape[1] - first)
    with running(model, n_run), ExitStack() as stack:
        rows = rows_from(model, tokens, first, n)
        for layer in layers:
            change = _less_arcs(model, picture, cuts, layer, first)
            stack.enter_context(changing_heads(model, layer, change))
        # In the order in which the model comes to them, which `changing` relies on.
        for hook in picture.hooks:
            if hook in lit:
                dark = _less_lamps(picture, cuts, saes[hook], first)
                stack.enter_context(changing(model, hook, dark))
        return rows.last_logits().cpu()


def lost(picture: Picture, logits: "Tensor") -> list[float]:
    """What the logit (or difference) lost by each cut, from what `without` found."""
    found = picture.attribution
    values = logits[:, found.target]
    if found.other is not None:
        values = values - logits[:, found.other]
    return (values[0] - values[1:]).tolist()


def _is_after_attention(model: "LoadedModel", hook_name: str) -> bool:
    _, layer, name = hook_name.split(".")
    return int(layer) == model.n_layers - 1 and name != "hook_resid_pre"


def _first(model: "LoadedModel", picture: Picture, cuts: Sequence[Cut]) -> int:
    """The first position at which any of `cuts` changes anything that counts."""
    last = picture.attribution.n_tokens - 1
    changed = [picture.arcs[arc].to for cut in cuts for arc in cut.arcs]
    for lamp in {lamp for cut in cuts for lamp in cut.lamps}:
        part = picture.lamps[lamp]
        # What the SAE misses is missed everywhere; where no attention follows, what is
        # missed earlier comes to nothing.
        missed = last if _is_after_attention(model, part.hook_name or "") else 0
        changed.append(missed if part.position is None else part.position)
    return min(changed, default=last)


def _less_arcs(
    model: "LoadedModel", picture: Picture, cuts: Sequence[Cut], layer: int, first: int
) -> "Change":
    def change(heads: "Tensor") -> "Tensor":
        moved = heads.clone()
        for row, cut in enumerate(cuts, 1):
            for place in cut.arcs:
                arc = picture.arcs[place]
                if arc.layer == layer:
                    at = head_slice(model, arc.head)
                    moved[row, arc.to - first, at] -= picture.carried[place].to(moved)
        return moved

    return change


def _less_lamps(
    picture: Picture, cuts: Sequence[Cut], sae: "SAE", first: int
) -> "Change":
    def change(x: "Tensor") -> "Tensor":
        moved = x.clone()
        for row, cut in enumerate(cuts, 1):
            for place in cut.lamps:
                lamp = picture.lamps[place]
                if lamp.hook_name != sae.hook_name:
                    continue
                if lamp.number is None:
                    seen = x[row].float().cpu()
                    moved[row] -= (seen - sae.decode(sae.encode(seen))).to(moved)
                else:
                    step = (lamp.activation or 0.0) * direction(sae, lamp.number)
                    at = (lamp.position or 0) - first
                    moved[row, at] -= step.to(moved)
        return moved

    return change
