"""Text -> contexts of token ids, for training, evaluation and indexing alike.

Adding a text source: one function here that yields documents, one entry in `_SOURCES`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.data.packing import pack
from tinysae.data.storybook import stories
from tinysae.errors import MissingError, SettingError

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

STORYBOOK = "storybook"
# Rust tokenizers work on batches; more than this gains nothing and delays the first.
DOCUMENTS_AT_ONCE = 256


def token_chunks(
    model: "LoadedModel",
    dataset_path: str,
    context_size: int,
    *,
    seed: int,
    held_out: bool = False,
    start: int = 0,
) -> Iterator[NDArray[np.int32]]:
    """Endless contexts of shape [context_size], each starting with BOS.

    The first `start` of them are passed over (read again, which takes half a second
    for a million tokens of stories, but not given to any model). Held-out contexts
    come from documents that training never sees.

    Raises:
        MissingError: no such text.
        SettingError: `context_size` is beyond the model's.
    """
    if not is_text(dataset_path):
        raise MissingError("unknown_dataset", dataset=dataset_path[:200])
    if not 2 <= context_size <= model.n_ctx:
        raise SettingError(
            "setting_range",
            field="context_size",
            value=context_size,
            low=2,
            high=model.n_ctx,
        )
    documents = _SOURCES[dataset_path](seed, held_out)
    contexts = pack(_tokenized(model, documents), context_size, model.bos_id)
    return islice(contexts, start, None)


def is_text(dataset_path: str) -> bool:
    """Whether `token_chunks` knows that text."""
    return dataset_path in _SOURCES


def batched(
    chunks: Iterable[NDArray[np.int32]], size: int
) -> Iterator[NDArray[np.int32]]:
    """Contexts in batches of shape [<= size, context_size]."""
    iterator = iter(chunks)
    while batch := list(islice(iterator, size)):
        yield np.stack(batch)


def _storybook(seed: int, held_out: bool) -> Iterator[str]:
    return (story.text for story in stories(seed, held_out=held_out))


_SOURCES: dict[str, Callable[[int, bool], Iterator[str]]] = {STORYBOOK: _storybook}


def _tokenized(
    model: "LoadedModel", documents: Iterator[str]
) -> Iterator[Sequence[int]]:
    while texts := list(islice(documents, DOCUMENTS_AT_ONCE)):
        yield from model.encode_many(texts)
