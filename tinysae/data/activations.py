"""A model reading text -> an endless, shuffled stream of activations.

The stream is a pure function of its settings: any batch of it can be asked for first.
That is what makes a resumed run go on with exactly the batches that an uninterrupted
one would have seen, with nothing of the shuffle buffer saved.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinysae.data.corpus import batched

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


T = TypeVar("T")


def activation_batches(
    model: "LoadedModel",
    chunks: Iterable[NDArray[np.int32]],
    hook_name: str,
    contexts_at_once: int,
    *,
    exclude_special_tokens: bool = False,
) -> Iterator["Tensor"]:
    """Activations of shape [tokens, d_in] in reading order, a few contexts a time.

    exclude_special_tokens: SAELens leaves out the rows of such tokens, of which BOS is
    the only one here. Every part has to keep its length, or a resumed run could not
    know where it was: the row of the token after stands in for it.
    """
    for (acts,) in batches_of_hooks(
        *(model, chunks, [hook_name], contexts_at_once),
        exclude_special_tokens=exclude_special_tokens,
    ):
        yield acts


def batches_of_hooks(
    model: "LoadedModel",
    chunks: Iterable[NDArray[np.int32]],
    hook_names: Sequence[str],
    contexts_at_once: int,
    *,
    exclude_special_tokens: bool = False,
) -> "Iterator[list[Tensor]]":
    """As `activation_batches`, of several hooks: the parts of all by one forward."""
    import torch

    from tinysae.model.forward import activations_of_hooks

    for batch in batched(chunks, contexts_at_once):
        tokens = torch.from_numpy(batch).long()
        found = activations_of_hooks(model, tokens, hook_names)
        if exclude_special_tokens:
            rows = _nearest((tokens != model.bos_id).to(found[0].device))[..., None]
            found = [acts.gather(1, rows.expand_as(acts)) for acts in found]
        yield [acts.flatten(0, 1) for acts in found]


def _nearest(is_kept: "Tensor") -> "Tensor":
    """For each place of [n, pos] the next that is kept, itself first; at the end of a
    context the last one before."""
    import torch

    n = is_kept.shape[1]
    at = torch.arange(n, device=is_kept.device)
    after = at.where(is_kept, n).flip(1).cummin(1).values.flip(1)
    before = at.where(is_kept, 0).cummax(1).values
    return after.where(after < n, before)


def ahead(items: Iterator[T], n: int) -> Generator[T]:
    """The same items, up to `n` of them made in advance by a thread of their own.

    Closing the generator waits for the one being made and drops the others.
    """
    import torch

    pool = ThreadPoolExecutor(
        1,
        "ahead",
        initializer=torch.set_num_threads,
        initargs=(torch.get_num_threads(),),
    )
    waiting: deque[Future[T | None]] = deque()
    try:
        while True:
            while len(waiting) < n:
                waiting.append(pool.submit(next, items, None))
            item = waiting.popleft().result()
            if item is None:
                return
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def shuffled(
    parts_from: Callable[[int], Iterator["Tensor"]],
    *,
    rows_a_part: int,
    batch_size: int,
    n_batches_in_buffer: int,
    seed: int,
    start: int = 0,
) -> Generator["Tensor"]:
    """Batches of shape [batch_size, d_in] from the `start`-th on, mixed over a buffer.

    As in SAELens, half of the buffer is served at a time and mixed with what comes
    next: the stream is cut into blocks of half a buffer; every block is shuffled; and
    what is served is the second half of one block, shuffled with the first half of the
    following one. An activation is served at most once; only the first half of the very
    first block never is.

    While a block is served, the parts of the next are made by another thread. Three
    blocks are in memory at most.

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
    part, rows_passed = divmod(first * size, rows_a_part)
    before: Tensor | None = None
    late = np.empty(0, np.int64)
    with closing(ahead(parts_from(part), n=-(-size // rows_a_part))) as parts:
        blocks = _blocks(parts, size, rows_passed)
        for number, block in enumerate(blocks, start=first):
            order = _order(size, seed, number, 0)
            if before is not None:
                # Rows of the two blocks as if one stood after the other.
                mixed = np.concatenate([late, size + order[: size // 2]])
                rows = torch.from_numpy(mixed[_order(size, seed, number, 1)])
                # All at once: on a GPU each copy is waited for.
                for own in rows.to(block.device).split(batch_size)[passed:]:
                    yield _rows_of(before, block, own)
                passed = 0
            before, late = block, order[size // 2 :]


def _order(size: int, seed: int, block: int, use: int) -> NDArray[np.int64]:
    """A permutation [size] that depends on nothing but its arguments."""
    return np.random.default_rng((seed, block, use)).permutation(size)


def _rows_of(first: "Tensor", second: "Tensor", rows: "Tensor") -> "Tensor":
    """Those rows of [2 size, d]: `first` [size, d] and, after it, `second`."""
    size = len(first)
    is_first = (rows < size)[:, None]
    # Gathered one by one: together the two would be copied whole.
    taken = first[rows.clamp(max=size - 1)]
    return taken.where(is_first, second[(rows - size).clamp(min=0)])


def _blocks(parts: Iterator["Tensor"], size: int, passed: int) -> Iterator["Tensor"]:
    """The stream, without its first `passed` rows, in blocks [size, d_in]."""
    block: Tensor | None = None
    filled = 0
    for part in parts:
        rows, passed = part[passed:], 0
        while len(rows):
            if block is None:
                block, filled = rows.new_empty(size, rows.shape[1]), 0
            n = min(len(rows), size - filled)
            block[filled : filled + n] = rows[:n]
            filled, rows = filled + n, rows[n:]
            if filled == size:
                yield block
                block = None
