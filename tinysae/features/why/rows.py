"""Many versions of one text in one forward, of which only what differs is run."""

from typing import TYPE_CHECKING, Any, NamedTuple

from tinysae.model.forward import only_last

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


class Rows(NamedTuple):
    """Copies of a text from a position on.

    Attributes:
        first: the position at which they begin.
        model: that reads them.
        tokens: [n, pos - first].
        before: what stands before `first`, as the model keeps it.
    """

    first: int
    model: "LoadedModel"
    tokens: "Tensor"
    before: dict[str, Any]

    def last_logits(self) -> "Tensor":
        """Of what comes after each row, [n, d_vocab]; once only, because what stands
        before grows by what was run."""
        output = self.model.plain(
            self.tokens, **{"use_cache": False, **self.before}, **only_last(self.model)
        )
        return output.logits[:, -1].float()


def rows_from(model: "LoadedModel", tokens: "Tensor", first: int, n: int) -> Rows:
    """`n` copies of `tokens` [1, pos] from `first` on; what stands before is run here,
    once. Hold the model's lock."""
    import torch
    from transformers import DynamicCache

    rest = tokens[:, first:].expand(n, -1)
    if not first:
        return Rows(0, model, rest, {})
    cache = DynamicCache(config=model.plain.config)
    before = {"past_key_values": cache, "use_cache": True}
    with torch.no_grad():
        model.plain(tokens[:, :first], **before, **only_last(model))
    layers: list[Any] = cache.layers
    for layer in layers:
        # Views: the model copies them once, when it adds what it reads.
        layer.keys = layer.keys.expand(n, -1, -1, -1)
        layer.values = layer.values.expand(n, -1, -1, -1)
    return Rows(first, model, rest, before)
