"""Documents of any length -> contexts of one length, each starting with BOS."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def pack(
    documents: Iterable[Sequence[int]], context_size: int, bos_id: int
) -> Iterator[NDArray[np.int32]]:
    """Contexts of shape [context_size]: BOS, a document, BOS, the next one, ...

    A document that does not fit into the rest of a context fills that rest with its
    beginning and is then read from its start in the next context, so that the model
    sees it whole (a one-layer model tells characters apart by absolute position). One
    that is longer than a context goes on after the next BOS. The last, unfilled context
    is dropped.
    """
    context: list[int] = []
    for document in documents:
        rest = list(document)
        while rest:
            is_fresh = not context
            context.append(bos_id)
            space = context_size - len(context)
            fits_a_fresh_context = len(rest) < context_size
            is_cut = len(rest) > space
            context.extend(rest[:space])
            if is_fresh or not (is_cut and fits_a_fresh_context):
                rest = rest[space:]
            if len(context) == context_size:
                yield np.asarray(context, dtype=np.int32)
                context = []
