"""Where each head of a layer looks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
