r"""What attention carries from one token to another, and what that adds to a logit.

An arc c = A[to, source] v[source] is attention's pattern times the value that is there.
The slope of the logit at the head's output foretells badly what is lost without it: the
MLP and the norms that follow saturate, so that the first half of a large arc does less
than the second (on the storybook a correlation of 0.85 with what is measured, and 0.6
of its size). Its effect is therefore the slope along the way on which the head is
turned off, a integrated (Sundararajan et al. 2017, "Axiomatic attribution for deep
networks"):

    effect = c . integral_0^1  d logit / d head[to]  at  a * head   d a

What the arcs of a head add is then what the model loses without the head, and for a
single arc the correlation is 0.99.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tinysae.features.why.rows import rows_from
from tinysae.model.circuit import changing_heads, d_head, n_heads

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.attribution import Attribution
    from tinysae.model.attention import Attended
    from tinysae.model.circuit import Change
    from tinysae.model.sources import LoadedModel

# Of the integral by Gauss and Legendre: places between 0 and 1, which weigh the same.
POINTS = (0.5 - 12**-0.5, 0.5 + 12**-0.5)
# Tokens run together: their activations are kept for the way back.
TOKENS_AT_ONCE = 4096


def by_arc(layers: "Sequence[Attended]", slope: "Sequence[Tensor]") -> "Tensor":
    """What every arc adds, [layer, head, to, source], where `slope` [layer][pos,
    n_heads * d_head] is that of the heads' output."""
    import torch

    each: list[Tensor] = []
    for (pattern, values), grad in zip(layers, slope, strict=True):
        heads, n_positions, width = values.shape
        apart = grad.reshape(n_positions, heads, width)
        toward = torch.einsum("hsd,qhd->hqs", values, apart)
        each.append((pattern * toward).float().cpu())
    return torch.stack(each)


def along_the_way(
    model: "LoadedModel",
    tokens: "Tensor",
    found: "Attribution",
    slope: "Sequence[Tensor]",
    most: int,
) -> "list[Tensor]":
    """`slope` [layer][pos, n_heads * d_head], with that of the leading heads integrated
    over their way off; hold the model's lock.

    Args:
        model: whose heads.
        tokens: [1, pos].
        found: the logit in question, with the heads' own effects.
        slope: of the logit, where all heads are as they are.
        most: heads that are integrated; the others keep their slope.
    """
    size = {
        (part.layer or 0, part.number or 0): abs(part.effect)
        for part in found.components
        if part.kind == "head"
    }
    leading = sorted(size, key=lambda head: -size[head])[:most]
    changed = [layer.clone() for layer in slope]
    last = model.n_layers - 1
    # What the last layer's heads write at other tokens comes to nothing.
    for first, heads in (
        (0, [head for head in leading if head[0] < last]),
        (tokens.shape[1] - 1, [head for head in leading if head[0] == last]),
    ):
        size_of_row = tokens.shape[1] - first
        step = max(1, TOKENS_AT_ONCE // (len(POINTS) * size_of_row))
        for begin in range(0, len(heads), step):
            some = heads[begin : begin + step]
            for (layer, head), mean in zip(
                some, _means(model, tokens, first, found, some), strict=True
            ):
                width = d_head(model)
                at = slice(head * width, (head + 1) * width)
                changed[layer][first:, at] = mean
    return changed


def _means(
    model: "LoadedModel",
    tokens: "Tensor",
    first: int,
    found: "Attribution",
    heads: Sequence[tuple[int, int]],
) -> "list[Tensor]":
    """Of each head's slope, over `POINTS`, [pos - first, d_head]."""
    import torch

    width, n = d_head(model), n_heads(model)
    scale = torch.ones(len(heads), len(POINTS), model.n_layers, n)
    for row, (layer, head) in enumerate(heads):
        scale[row, :, layer, head] = torch.tensor(POINTS)
    scale = scale.flatten(0, 1).to(tokens.device)
    seen: dict[int, Tensor] = {}

    def keep(layer: int) -> "Change":
        by = scale[:, layer].repeat_interleave(width, -1)[:, None]

        def change(x: "Tensor") -> "Tensor":
            scaled = x * by.to(x)
            kept = scaled if scaled.requires_grad else scaled.requires_grad_()
            seen[layer] = kept
            return kept

        return change

    layers = sorted({layer for layer, _ in heads})
    rows = rows_from(model, tokens, first, len(scale))
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(changing_heads(model, layer, keep(layer)))
        logits = rows.last_logits()
    end = logits[:, found.target]
    if found.other is not None:
        end = end - logits[:, found.other]
    grads = torch.autograd.grad(end.sum(), [seen[layer] for layer in layers])
    by_layer = dict(zip(layers, grads, strict=True))
    means: list[Tensor] = []
    for row, (layer, head) in enumerate(heads):
        own = by_layer[layer][row * len(POINTS) : (row + 1) * len(POINTS)]
        means.append(own[..., head * width : (head + 1) * width].mean(0))
    return means
