"""A model reading text -> an endless, shuffled stream of activations.

The stream is a pure function of its settings: any batch of it can be asked for first.
That is what makes a resumed run go on with exactly the batches that an uninterrupted
one would have seen, with nothing of the shuffle buffer saved.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.data.corpus import batched

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


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
    parts_from: Callable[[int], Iterable["Tensor"]],
    *,
    rows_a_part: int,
    batch_size: int,
    n_batches_in_buffer: int,
    seed: int,
    start: int = 0,
) -> Iterator["Tensor"]:
    """Batches of shape [batch_size, d_in] from the `start`-th on, mixed over a buffer.

    As in SAELens, half of the buffer is served at a time and mixed with what comes
    next: the stream is cut into blocks of half a buffer; every block is shuffled; and
    what is served is the second half of one block, shuffled with the first half of the
    following one. An activation is served at most once; only the first half of the very
    first block never is.

    Args:
        parts_from: parts of the stream, each `[rows_a_part, d_in]`, from the n-th on.
        rows_a_part: rows of a part.
        batch_size: rows of a batch.
        n_batches_in_buffer: batches that are mixed; at least 2.
        seed: of the shuffles.
        start: batches that are passed over.
    """
    import torch

    served = n_batches_in_buffer // 2
    size = served * batch_size
    first, passed = divmod(start, served)
    left_over: Tensor | None = None
    blocks = _blocks(parts_from, rows_a_part, size, first)
    for number, block in enumerate(blocks, start=first):
        order = torch.from_numpy(_order(size, seed, number, 0)).to(block.device)
        early, late = order[: size // 2], order[size // 2 :]
        if left_over is not None:
            mixed = torch.cat([left_over, block[early]])
            final = torch.from_numpy(_order(size, seed, number, 1)).to(block.device)
            yield from mixed[final].split(batch_size)[passed:]
            passed = 0
        left_over = block[late]


def _order(size: int, seed: int, block: int, use: int) -> NDArray[np.int64]:
    """A permutation [size] that depends on nothing but its arguments."""
    return np.random.default_rng((seed, block, use)).permutation(size)


def _blocks(
    parts_from: Callable[[int], Iterable["Tensor"]],
    rows_a_part: int,
    size: int,
    first: int,
) -> Iterator["Tensor"]:
    """The stream in blocks [size, d_in], from block `first` on."""
    import torch

    part, passed = divmod(first * size, rows_a_part)
    pending: list[Tensor] = []
    n_pending = -passed
    for rows in parts_from(part):
        pending.append(rows)
        n_pending += len(rows)
        if n_pending < size:
            continue
        together = torch.cat(pending)[passed:]
        passed = 0
        full = len(together) // size * size
        yield from together[:full].split(size)
        # A copy, so that the served rows can be freed.
        pending = [together[full:].clone()]
        n_pending = len(pending[0])
