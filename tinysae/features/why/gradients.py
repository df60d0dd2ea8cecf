"""One forward with everything kept, and the gradient of a logit by all of it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from tinysae.errors import InputError
from tinysae.model.circuit import head_place
from tinysae.model.forward import only_last
from tinysae.model.hooks import HookPlace, hooked

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


class Seen(NamedTuple):
    """What one forward showed, tensors [1, pos, d] with gradients.

    pre and post [layer] are the residual streams, attn [layer] what attention added,
    heads [layer] the heads side by side, hook the SAE's activations; logits [d_vocab].
    """

    pre: "list[Tensor]"
    attn: "list[Tensor]"
    heads: "list[Tensor]"
    post: "list[Tensor]"
    hook: "Tensor | None"
    logits: "Tensor"


class Gradients(NamedTuple):
    """Of the logit, by each tensor of `Seen`, [pos, d]; v [d_model] is that of the
    last residual stream at the position asked about."""

    v: "Tensor"
    pre: "Tensor"
    heads: "Sequence[Tensor]"
    attn: "Sequence[Tensor]"
    post: "Sequence[Tensor]"
    hook: "Tensor | None"


def gradients_of(
    model: "LoadedModel", tokens: "Tensor", wanted: Sequence[int], hook_name: str | None
) -> tuple["Tensor", Seen, Gradients]:
    """The logit of `wanted[0]` after `tokens` (minus that of `wanted[1]`, if it is
    there), what the forward showed, and the logit's gradients; hold the model's lock.

    Raises:
        InputError: as `watched`.
    """
    import torch

    seen = watched(model, tokens, hook_name)
    logit = seen.logits[wanted[0]]
    if len(wanted) > 1:
        logit = logit - seen.logits[wanted[1]]
    sources = [*seen.pre[:1], *seen.heads, *seen.attn, *seen.post]
    if seen.hook is not None:
        sources.append(seen.hook)
    grads = [grad[0] for grad in torch.autograd.grad(logit, sources)]
    n = model.n_layers
    gradients = Gradients(
        v=grads[3 * n][-1],
        pre=grads[0],
        heads=grads[1 : 1 + n],
        attn=grads[1 + n : 1 + 2 * n],
        post=grads[1 + 2 * n : 1 + 3 * n],
        hook=grads[-1] if seen.hook is not None else None,
    )
    return logit, seen, gradients


class Slopes(NamedTuple):
    """Of one number, by every layer's heads, heads [layer][pos, n_heads * d_head], and
    by the SAE's activations, hook [pos, d]; of several, with a first axis for them."""

    heads: "list[Tensor]"
    hook: "Tensor | None"


def slopes(seen: Seen, end: "Tensor") -> Slopes:
    """The slopes of `end`, a number made of what was seen, or [n] of them, which go
    back together; norms are live."""
    import torch

    sources = [*seen.heads, *([] if seen.hook is None else [seen.hook])]
    each = torch.eye(len(end)).to(end) if end.dim() else None
    grads = torch.autograd.grad(
        end,
        sources,
        grad_outputs=each,
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=each is not None,
    )
    several = end.shape[:1]
    every = [
        source.new_zeros(*several, *source.shape[1:])
        if grad is None
        else grad[..., 0, :, :]
        for source, grad in zip(sources, grads, strict=True)
    ]
    n = len(seen.heads)
    return Slopes(every[:n], None if seen.hook is None else every[n])


def watched(model: "LoadedModel", tokens: "Tensor", hook_name: str | None) -> Seen:
    """One forward with everything kept, its gradients beginning at the embeddings; hold
    the model's lock.

    Raises:
        InputError: the model does not show what its layers write.
    """
    passed: dict[str, Tensor] = {}

    def keep(name: str) -> "Callable[[Tensor], Tensor]":
        def read(x: "Tensor") -> "Tensor":
            # The embeddings are where gradients begin, whatever the weights allow.
            passed[name] = x if x.requires_grad else x.detach().requires_grad_()
            return passed[name]

        return read

    places: dict[str, HookPlace] = {}
    layers = range(model.n_layers)
    for layer in layers:
        for name in ("hook_resid_pre", "hook_attn_out", "hook_resid_post"):
            hook = f"blocks.{layer}.{name}"
            if hook not in model.hooks:
                raise InputError("why_unsupported", hook=hook)
            places[hook] = model.hooks[hook]
        places[f"blocks.{layer}.heads"] = head_place(model, layer)
    if hook_name is not None:
        places[hook_name] = model.hooks[hook_name]
    with ExitStack() as stack:
        for name, place in places.items():
            stack.enter_context(hooked(model.plain, place, keep(name)))
        logits = model.plain(tokens, use_cache=False, **only_last(model)).logits

    def all_of(name: str) -> "list[Tensor]":
        return [passed[f"blocks.{layer}.{name}"] for layer in layers]

    return Seen(
        all_of("hook_resid_pre"),
        all_of("hook_attn_out"),
        all_of("heads"),
        all_of("hook_resid_post"),
        None if hook_name is None else passed[hook_name],
        logits[0, -1].float(),
    )
