"""Text -> contexts of token ids, for training, evaluation and indexing alike."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.config import TextChoice
from tinysae.data.packing import pack
from tinysae.data.texts import open_text
from tinysae.data.texts.text import Document, Text
from tinysae.errors import InputError, SettingError

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Rust tokenizers work on batches; more than this, in number or characters, gains
# nothing and delays the first.
DOCUMENTS_AT_ONCE, CHARACTERS_AT_ONCE = 256, 1 << 20


def token_chunks(
    model: "LoadedModel",
    text: Text | TextChoice,
    context_size: int,
    *,
    seed: int,
    held_out: bool = False,
    start: int = 0,
) -> Iterator[NDArray[np.int32]]:
    """Contexts of shape [context_size], each starting with BOS.

    Those to train on have no end: a text that ends is read again, in another order.
    Held-out contexts come from documents that training never sees, once each. The first
    `start` contexts are passed over (read again, which takes half a second for a
    million tokens of stories, but not given to any model).

    Raises:
        TinysaeError: no such text, or it cannot be read.
        SettingError: `context_size` is beyond the model's.
        InputError: a token that the model does not have; or no context is held out.
    """
    if not 2 <= context_size <= model.n_ctx:
        raise SettingError(
            "setting_range",
            field="context_size",
            value=context_size,
            low=2,
            high=model.n_ctx,
        )
    source = open_text(text) if isinstance(text, TextChoice) else text
    documents = tokenized(model, source.documents(seed, held_out=held_out))
    contexts = pack(documents, context_size, model.bos_id)
    if not held_out:
        return islice(contexts, start, None)
    first = next(contexts, None)
    if first is None:
        raise InputError("text_too_short", context=context_size)
    return islice(chain((first,), contexts), start, None)


def batched(
    chunks: Iterable[NDArray[np.int32]], size: int
) -> Iterator[NDArray[np.int32]]:
    """Contexts in batches of shape [<= size, context_size]."""
    iterator = iter(chunks)
    while batch := list(islice(iterator, size)):
        yield np.stack(batch)


def tokenized(
    model: "LoadedModel", documents: Iterable[Document]
) -> Iterator[Sequence[int]]:
    """The token ids of each document, without BOS.

    Token ids are parted at BOS and at the model's end-of-text tokens: a row of a
    tokenized dataset is often several documents in a row.

    Raises:
        InputError: a token that the model does not have.
    """
    texts: list[str] = []
    length = 0
    for document in documents:
        if not isinstance(document, str):
            yield from _parted(model, document)
            continue
        texts.append(document)
        length += len(document)
        if len(texts) == DOCUMENTS_AT_ONCE or length >= CHARACTERS_AT_ONCE:
            yield from model.encode_many(texts)
            texts, length = [], 0
    if texts:
        yield from model.encode_many(texts)


def _parted(model: "LoadedModel", ids: Sequence[int]) -> Iterator[Sequence[int]]:
    tokens = np.asarray(ids, np.int64)
    if tokens.min() < 0 or tokens.max() >= model.d_vocab:
        strange = tokens[(tokens < 0) | (tokens >= model.d_vocab)][0]
        raise InputError(
            "text_other_tokenizer", token=int(strange), vocabulary=model.d_vocab
        )
    start = 0
    for end in np.flatnonzero(np.isin(tokens, [model.bos_id, *model.eos_ids])):
        if end > start:
            yield tokens[start:end].tolist()
        start = end + 1
    if start < len(tokens):
        yield tokens[start:].tolist()
