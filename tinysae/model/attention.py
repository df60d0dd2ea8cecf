"""Where each head of a layer looks, and what it takes from there."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tinysae.errors import InputError
from tinysae.model.circuit import d_head
from tinysae.model.forward import running

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


def attention_pattern(model: "LoadedModel", ids: Sequence[int], layer: int) -> "Tensor":
    """Attention [head, 1 + n, 1 + n] of every position to those before, BOS first.

    By the Bridge: the lean copy's attention is fused and never has a pattern.

    Raises:
        InputError: `ids` do not fit the context.
    """
    tokens = model.to_input(ids)
    name = f"blocks.{layer}.attn.hook_pattern"
    with running(model, tokens.numel()):
        _, cache = model.bridge.run_with_cache(tokens, names_filter=name)
    return cache[name][0]


class Attended(NamedTuple):
    """What the heads of a layer carry.

    pattern [head, pos, pos]: how much each position takes from those before; values
    [head, pos, d_head]: what there is to take. Their product is what the heads write.
    """

    pattern: "Tensor"
    values: "Tensor"


def attended(model: "LoadedModel", ids: Sequence[int]) -> list[Attended]:
    """Every layer's heads on BOS and `ids`; key-value heads that several share are
    repeated for each.

    Raises:
        InputError: `ids` do not fit the context, or the model does not show its values.
    """
    tokens = model.to_input(ids)
    names = [
        f"blocks.{layer}.attn.hook_{name}"
        for layer in range(model.n_layers)
        for name in ("pattern", "v")
    ]
    with running(model, tokens.numel()):
        _, seen = model.bridge.run_with_cache(tokens, names_filter=names)
    cache: Any = seen
    return [_layer(model, cache, layer) for layer in range(model.n_layers)]


def _layer(model: "LoadedModel", cache: "Mapping[str, Tensor]", layer: int) -> Attended:
    try:
        pattern, values = (
            cache[f"blocks.{layer}.attn.hook_{name}"][0] for name in ("pattern", "v")
        )
    except KeyError:
        raise InputError("why_no_heads", layer=layer) from None
    # Side by side or apart, as the architecture has them.
    apart = values.reshape(len(values), -1, d_head(model)).transpose(0, 1)
    return Attended(pattern, apart.repeat_interleave(len(pattern) // len(apart), 0))
