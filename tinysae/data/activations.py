"""A model reading text -> an endless, shuffled stream of activations."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.data.corpus import batched

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from tinysae.model.sources import LoadedModel

# SAELens's default: half of the buffer stays to be mixed with what comes next.
KEPT_SHARE = 0.5


def activation_batches(
    model: "LoadedModel",
    chunks: Iterable[NDArray[np.int32]],
    hook_name: str,
    contexts_at_once: int,
) -> Iterator["Tensor"]:
    """Activations of shape [tokens, d_in] in reading order, a few contexts a time."""
    import torch

    from tinysae.model.forward import activations

    for tokens in batched(chunks, contexts_at_once):
        yield activations(model, torch.from_numpy(tokens).long(), hook_name).flatten(
            0, 1
        )


def shuffled(
    parts: Iterable["Tensor"],
    *,
    batch_size: int,
    n_batches_in_buffer: int,
    generator: "Generator",
) -> Iterator["Tensor"]:
    """Batches of shape [batch_size, d_in], mixed over `n_batches_in_buffer` batches.

    The buffer is filled and shuffled; the first half of it is served; then it is filled
    up and shuffled again. Every activation is served exactly once as long as `parts`
    goes on.
    """
    import torch

    size = batch_size * n_batches_in_buffer
    kept_batches = int(n_batches_in_buffer * KEPT_SHARE)
    pending: list[Tensor] = []
    n_pending = 0
    for part in parts:
        pending.append(part)
        n_pending += len(part)
        if n_pending < size:
            continue
        buffer = torch.cat(pending)
        buffer = buffer[torch.randperm(len(buffer), generator=generator)]
        n_served = len(buffer) // batch_size - kept_batches
        yield from buffer[: n_served * batch_size].split(batch_size)
        # A copy, so that the served half can be freed.
        pending = [buffer[n_served * batch_size :].clone()]
        n_pending = len(pending[0])
