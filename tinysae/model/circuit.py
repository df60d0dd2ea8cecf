"""The places inside a model where something is read or changed while it runs.

Hugging Face's blocks keep the skip around the MLP for themselves: at
`hook_resid_mid` a plain hook (TransformerLens's Bridge's as well) changes what the MLP
reads and not what is added to its output. `changing` changes both, which is what
"the residual stream" means and what TransformerLens's HookedTransformer does.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tinysae.errors import InputError
from tinysae.model.hooks import HookPlace, hooked

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tinysae.model.sources import LoadedModel

Change = Callable[["Tensor"], "Tensor"]
"""Activations [batch, pos, d] -> what takes their place."""


@contextmanager
def changing(model: "LoadedModel", hook_name: str, change: Change) -> Iterator[None]:
    """While inside, `change` is made at `hook_name`; hold the model's lock."""
    with ExitStack() as stack:
        place = model.hooks[hook_name]
        block, _, name = hook_name.rpartition(".")
        if name == "hook_resid_mid" and place.is_input:
            moved: list[Tensor] = []

            def before(x: "Tensor") -> "Tensor":
                new = change(x)
                moved.append(new - x)
                return new

            def after(x: "Tensor") -> "Tensor":
                return x + moved.pop()

            end = model.hooks[f"{block}.hook_resid_post"]
            stack.enter_context(hooked(model.plain, end, after))
            stack.enter_context(hooked(model.plain, place, before))
        else:
            stack.enter_context(hooked(model.plain, place, change))
        yield


def head_place(model: "LoadedModel", layer: int) -> HookPlace:
    """Where the heads of `layer` lie side by side: what the output projection reads,
    [batch, pos, n_heads * d_head].

    Raises:
        InputError: no such layer, or heads that cannot be told apart there.
    """
    if not 0 <= layer < model.n_layers:
        raise InputError("why_no_layer", layer=layer, last=model.n_layers - 1)
    bridge: Any = model.bridge
    attention = bridge.blocks[layer].attn
    root = bridge.adapter.component_mapping["blocks"].name
    names = [root, str(layer), attention.name, getattr(attention, "o", attention).name]
    path = ".".join(names)
    try:
        module: Any = model.plain.get_submodule(path)
    except AttributeError:
        module = None
    weight = getattr(module, "weight", None)
    # nn.Linear keeps [out, in] and GPT-2's Conv1D [in, out]; a row of heads fits one.
    if weight is None or n_heads(model) * d_head(model) not in weight.shape:
        raise InputError("why_no_heads", layer=layer)
    return HookPlace(path, is_input=True)


@contextmanager
def frozen_patterns(model: "LoadedModel") -> Iterator[None]:
    """Attention looks where it looks on this input: no gradient goes through queries
    and keys. Values stay as they are.

    Models whose queries, keys and values are one product are known by how GPT-2
    (`c_attn`) and GPT-NeoX (`query_key_value`) lay them out; the patterns of any other
    such model stay live.
    """
    bridge: Any = model.bridge
    root = bridge.adapter.component_mapping["blocks"].name
    width = d_head(model)

    def held(x: "Tensor") -> "Tensor":
        return x.detach()

    def held_side_by_side(x: "Tensor") -> "Tensor":
        n = 2 * x.shape[-1] // 3
        return torch.cat([x[..., :n].detach(), x[..., n:]], -1)

    def held_by_head(x: "Tensor") -> "Tensor":
        apart = x.unflatten(-1, (-1, 3 * width))
        queries_and_keys = apart[..., : 2 * width].detach()
        return torch.cat([queries_and_keys, apart[..., 2 * width :]], -1).flatten(-2)

    import torch

    joint = {"c_attn": held_side_by_side, "query_key_value": held_by_head}
    with ExitStack() as stack:
        for layer in range(model.n_layers):
            attention = bridge.blocks[layer].attn
            path = f"{root}.{layer}.{attention.name}"
            one = getattr(attention, "qkv", None)
            changes = (
                {part.name: held for part in (attention.q, attention.k)}
                if one is None
                else {one.name: joint[one.name]}
                if one.name in joint
                else {}
            )
            for name, change in changes.items():
                place = HookPlace(f"{path}.{name}", is_input=False)
                stack.enter_context(hooked(model.plain, place, change))
        yield


def n_heads(model: "LoadedModel") -> int:
    """Heads a layer."""
    return int(model.bridge.cfg.n_heads)


def d_head(model: "LoadedModel") -> int:
    """Numbers that one head writes before the output projection."""
    return int(model.bridge.cfg.d_head)


def head_slice(model: "LoadedModel", head: int) -> slice:
    """Which of the numbers at `head_place` are `head`'s.

    Raises:
        InputError: there is no such head.
    """
    if not 0 <= head < n_heads(model):
        raise InputError("why_no_head", head=head, last=n_heads(model) - 1)
    return slice(head * d_head(model), (head + 1) * d_head(model))


@contextmanager
def changing_heads(model: "LoadedModel", layer: int, change: Change) -> Iterator[None]:
    """While inside, `change` is made to the heads' outputs, laid out as at
    `head_place`; hold the model's lock."""
    with hooked(model.plain, head_place(model, layer), change):
        yield


@contextmanager
def frozen_norms(plain: "nn.Module") -> Iterator[None]:
    """Every normalisation keeps the scale that it has on this input.

    A gradient then goes through what is left, which is linear: LayerNorm's centring
    and weight, RMSNorm's weight. Values stay as they are.
    """
    from torch import nn

    def layer_norm(module: Any, args: Any, _output: Any) -> "Tensor":
        x = args[0]
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.detach().square().mean(-1, keepdim=True)
        normed = centred * (variance + module.eps).rsqrt()
        normed = normed if module.weight is None else normed * module.weight
        return normed if module.bias is None else normed + module.bias

    def rms_norm(_module: Any, args: Any, output: "Tensor") -> "Tensor":
        x = args[0]
        factor = (output.detach() / x.detach()).nan_to_num(0.0, 0.0, 0.0)
        return x * factor

    with ExitStack() as stack:
        for module in plain.modules():
            if isinstance(module, nn.LayerNorm):
                handle = module.register_forward_hook(layer_norm)
            elif "RMSNorm" in type(module).__name__:
                handle = module.register_forward_hook(rms_norm)
            else:
                continue
            stack.callback(handle.remove)
        yield
