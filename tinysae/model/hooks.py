"""TransformerLens's hook names -> the places in a bare Hugging Face model they mean.

The Bridge knows, for every architecture, which module's input or output a hook is.
We ask it for the place, and then check the place: a hook whose activations differ from
the Bridge's own is not offered.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinysae.model.cores import cores_for
from tinysae.model.lean import FEW_ROWS

if TYPE_CHECKING:
    from torch import Tensor
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel

# The hooks of a block with activations [batch, pos, d], in the order they happen.
NAMES = (
    "hook_resid_pre",
    "hook_attn_out",
    "hook_resid_mid",
    "hook_mlp_out",
    "hook_resid_post",
)
# Fused attention rounds differently; a wrong place is off by orders of magnitude.
TOLERANCE = 1e-3
# Enough for what `lean` does with many rows only.
N_TOKENS = 2 * FEW_ROWS


@dataclass(frozen=True)
class HookPlace:
    """A module of the bare model, and whether the hook is its input or its output."""

    module: str
    is_input: bool


class Reached(Exception):
    """Ends a forward at the hook: what comes after it would be thrown away."""


@contextmanager
def reading(plain: "PreTrainedModel", place: HookPlace) -> Iterator[list["Tensor"]]:
    """Collects the activations at `place` into the list while the model runs."""
    seen: list[Tensor] = []
    with hooked(plain, place, seen.append):
        yield seen


@contextmanager
def hooked(plain: "PreTrainedModel", place: HookPlace, change: Any) -> Iterator[None]:
    """`change` sees the activations at `place`; what it returns takes their place,
    unless it is None."""
    module = plain.get_submodule(place.module)

    def before(_: Any, args: Any, kwargs: Any) -> Any:
        if args:
            new = change(args[0])
            return None if new is None else ((new, *args[1:]), kwargs)
        new = change(kwargs["hidden_states"])
        return None if new is None else (args, {**kwargs, "hidden_states": new})

    def after(_: Any, __: Any, output: Any) -> Any:
        if not isinstance(output, tuple):
            return change(output)
        new = change(output[0])
        return None if new is None else (new, *output[1:])

    if place.is_input:
        handle = module.register_forward_pre_hook(before, with_kwargs=True)
    else:
        handle = module.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def verified_hooks(
    bridge: "TransformerBridge", plain: "PreTrainedModel", token_id: int
) -> tuple[dict[str, HookPlace], dict[str, int]]:
    """Hook name -> place, and hook name -> width, of every hook that holds.

    Runs both models on a few tokens and keeps the hooks at which they agree.
    """
    import torch

    places = _places(bridge, plain)
    n = min(N_TOKENS, bridge.cfg.n_ctx)
    tokens = torch.full((1, n), token_id, device=plain.device)
    good: dict[str, HookPlace] = {}
    widths: dict[str, int] = {}
    with torch.no_grad(), ExitStack() as stack:
        stack.enter_context(cores_for(0))
        # Most of a short forward, of which nothing is asked here.
        for head in (bridge.unembed.original_component, plain.get_output_embeddings()):
            stack.enter_context(instead(head, lambda x: x))
        _, cache = bridge.run_with_cache(tokens, names_filter=list(places))
        seen = {
            name: stack.enter_context(reading(plain, place))
            for name, place in places.items()
        }
        plain(tokens, use_cache=False)
    for name, place in places.items():
        if name not in cache or len(seen[name]) != 1:
            continue
        theirs, ours = cache[name], seen[name][0]
        if theirs.ndim != 3 or theirs.shape != ours.shape:
            continue
        if (theirs - ours).abs().max() <= TOLERANCE * theirs.abs().max():
            good[name] = place
            widths[name] = theirs.shape[-1]
    return good, widths


@contextmanager
def instead(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """While inside, `forward` stands in for the module's own."""
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def _places(
    bridge: "TransformerBridge", plain: "PreTrainedModel"
) -> dict[str, HookPlace]:
    """Where the Bridge says each hook is; blocks may differ from one another."""
    modules = dict(plain.named_modules())
    blocks: Any = bridge.blocks
    mapping: Any = bridge.adapter.component_mapping
    root = mapping["blocks"].name
    places: dict[str, HookPlace] = {}
    for index, block in enumerate(blocks):
        for name in NAMES:
            target = block.hook_aliases.get(name)
            if not isinstance(target, str):
                continue
            *parts, end = target.split(".")
            path, component = f"{root}.{index}", block
            for part in parts:
                component = getattr(component, part, None)
                path += f".{getattr(component, 'name', '')}"
            if path in modules and end in ("hook_in", "hook_out"):
                hook = f"blocks.{index}.{name}"
                places[hook] = HookPlace(path, is_input=end == "hook_in")
    return places
