"""Running a model: its logits, the activations at one hook, and what a change does.

Every function takes the model's lock for exactly one forward.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.model.cores import cores_for
from tinysae.model.hooks import HookPlace, Reached, hooked

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


@contextmanager
def running(model: "LoadedModel", n_tokens: int) -> Iterator[None]:
    """Around one forward of `n_tokens`: the lock, no gradients, the cores that pay."""
    import torch

    cores = cores_for(model.n_parameters * n_tokens)
    with model.lock, torch.no_grad(), cores:
        yield


def logits(model: "LoadedModel", tokens: "Tensor") -> "Tensor":
    """Logits [batch, pos, d_vocab] of `tokens` [batch, pos], as Hugging Face's own."""
    with running(model, tokens.numel()):
        return model.plain(tokens.to(model.plain.device), use_cache=False).logits


def activations(model: "LoadedModel", tokens: "Tensor", hook_name: str) -> "Tensor":
    """Activations [batch, pos, d] at `hook_name` for `tokens` [batch, pos].

    The forward ends at the hook, so that nothing after it is paid for: the Bridge only
    stops before a block, which on a one-layer model costs the whole unembedding.
    Equal to `bridge.run_with_cache` to rounding (tested).

    Raises:
        InputError: the model has no such hook.
    """
    return activations_at(model, tokens, place_of(model, hook_name))


def activations_of_hooks(
    model: "LoadedModel", tokens: "Tensor", hook_names: Sequence[str]
) -> "list[Tensor]":
    """As `activations`, of several hooks by one forward, which ends at the last of them
    that it comes to. Each has the numbers that it has alone.

    Raises:
        InputError: the model has no such hook.
    """
    places = [place_of(model, hook_name) for hook_name in hook_names]
    return _activations_at(model, tokens, places)


def activations_at(
    model: "LoadedModel", tokens: "Tensor", place: HookPlace
) -> "Tensor":
    """As `activations`, of a place that need not be one of the model's hooks."""
    return _activations_at(model, tokens, [place])[0]


def _activations_at(
    model: "LoadedModel", tokens: "Tensor", places: Sequence[HookPlace]
) -> "list[Tensor]":
    seen: dict[int, Tensor] = {}

    def read(at: int, x: "Tensor") -> None:
        seen[at] = x
        if len(seen) == len(places):
            raise Reached

    with running(model, tokens.numel()), ExitStack() as stack:
        for at, place in enumerate(places):
            stack.enter_context(hooked(model.plain, place, partial(read, at)))
        try:
            model.plain(tokens.to(model.plain.device), use_cache=False)
        except Reached:
            return [seen[at] for at in range(len(places))]
    missed = [place.module for at, place in enumerate(places) if at not in seen]
    raise RuntimeError(f"the forward never came to {', '.join(missed)}")


def only_last(model: "LoadedModel") -> dict[str, int]:
    """The argument by which a forward computes the last position's logits alone."""
    has = "logits_to_keep" in inspect.signature(model.plain.forward).parameters
    return {"logits_to_keep": 1} if has else {}


def logits_with(
    model: "LoadedModel",
    tokens: "Tensor",
    hook_name: str,
    replacement: "Tensor | None",
) -> "Tensor":
    """Logits [batch, pos, d_vocab] with `replacement` [batch, pos, d] at the hook.

    Without a replacement the model is left as it is.

    Raises:
        InputError: the model has no such hook.
    """
    place = place_of(model, hook_name)
    if replacement is None:
        return logits(model, tokens)
    moved = replacement.to(model.plain.device)
    with running(model, tokens.numel()), hooked(model.plain, place, lambda _: moved):
        return model.plain(tokens.to(model.plain.device), use_cache=False).logits


def place_of(model: "LoadedModel", hook_name: str) -> HookPlace:
    """Where in the model the hook is.

    Raises:
        InputError: the model has no such hook.
    """
    try:
        return model.hooks[hook_name]
    except KeyError:
        raise InputError(
            "unknown_hook", hook=hook_name[:200], choices=", ".join(model.hooks)
        ) from None
