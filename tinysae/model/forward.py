"""Running a model: its logits, the activations at one hook, and what a change does.

Every function takes the model's lock for exactly one forward.
"""

from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.model.hooks import HookPlace, Reached, reading, replacing

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


def logits(model: "LoadedModel", tokens: "Tensor") -> "Tensor":
    """Logits [batch, pos, d_vocab] of `tokens` [batch, pos], as Hugging Face's own."""
    import torch

    with model.lock, torch.no_grad():
        return model.plain(tokens.to(model.plain.device), use_cache=False).logits


def activations(model: "LoadedModel", tokens: "Tensor", hook_name: str) -> "Tensor":
    """Activations [batch, pos, d] at `hook_name` for `tokens` [batch, pos].

    The forward ends at the hook, so that nothing after it is paid for: the Bridge only
    stops before a block, which on a one-layer model costs the whole unembedding.
    Equal to `bridge.run_with_cache` to rounding (tested).

    Raises:
        InputError: the model has no such hook.
    """
    import torch

    place = _place(model, hook_name)
    with (
        model.lock,
        torch.no_grad(),
        reading(model.plain, place, stop=True) as seen,
    ):
        try:
            model.plain(tokens.to(model.plain.device), use_cache=False)
        except Reached:
            return seen[0]
    raise RuntimeError(f"the forward never came to {hook_name}")


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
    import torch

    place = _place(model, hook_name)
    if replacement is None:
        return logits(model, tokens)
    with (
        model.lock,
        torch.no_grad(),
        replacing(model.plain, place, replacement.to(model.plain.device)),
    ):
        return model.plain(tokens.to(model.plain.device), use_cache=False).logits


def _place(model: "LoadedModel", hook_name: str) -> HookPlace:
    try:
        return model.hooks[hook_name]
    except KeyError:
        raise InputError(
            "unknown_hook", hook=hook_name[:200], choices=", ".join(model.hooks)
        ) from None
