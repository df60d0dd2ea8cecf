"""A look at a text before anything is trained on it."""

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.config import TextChoice
from tinysae.data.corpus import tokenized
from tinysae.data.packing import pack
from tinysae.data.texts import open_text
from tinysae.data.texts.apart import Beginning, beginning, beginning_apart
from tinysae.data.texts.storybook import STORYBOOK
from tinysae.data.texts.text import HELD_OUT_OF, Document
from tinysae.errors import InputError

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# What is read for it: enough for a fair mean, at most a second of tokenizing.
MAX_ROWS, MAX_LENGTH = 500, 500_000
SHOWN_ROWS, SHOWN_CHARACTERS = 5, 300
SHOWN_CONTEXTS = 2


class Preview(NamedTuple):
    """What was seen of a text.

    Attributes:
        rows: the beginnings of the first rows; of a tokenized one as text.
        n_tokens: of the whole text; None where it is endless or nothing says.
        is_counted: `n_tokens` was counted; otherwise it is estimated.
        is_endless: it has no end.
        n_unreadable: rows that were passed over.
        contexts: the first contexts; each the tokens of its documents, BOS included.
    """

    rows: list[str]
    n_tokens: int | None
    is_counted: bool
    is_endless: bool
    n_unreadable: int
    contexts: list[list[int]]

    @property
    def training_tokens(self) -> int | None:
        """Of these, those that are trained on; the others are kept apart."""
        if self.n_tokens is None:
            return None
        return self.n_tokens * (HELD_OUT_OF - 1) // HELD_OUT_OF


def preview(model: "LoadedModel", choice: TextChoice, context_size: int) -> Preview:
    """Reads the beginning of a text.

    Raises:
        TinysaeError: it cannot be read, or has tokens that the model does not have.
    """
    # For its first rows nobody waits until a whole dataset is here.
    choice = choice._replace(streaming=True)
    if choice.path == STORYBOOK:
        seen = beginning(open_text(choice), MAX_ROWS, MAX_LENGTH)
    else:
        seen = beginning_apart(choice, MAX_ROWS, MAX_LENGTH)
    if not any(seen.rows):
        raise InputError("text_empty")
    ids = list(tokenized(model, seen.rows))
    n_seen, length_seen = sum(map(len, ids)), sum(map(len, seen.rows))
    n_tokens = n_seen * seen.length // max(1, length_seen)
    is_counted = seen.is_whole and seen.length == length_seen
    if not seen.is_whole:
        n_tokens = _estimate(n_tokens, seen)
    packed = pack(ids, context_size, model.bos_id)
    return Preview(
        rows=[_shown(model, row) for row in seen.rows[:SHOWN_ROWS]],
        n_tokens=None if seen.is_endless else n_tokens,
        is_counted=is_counted,
        is_endless=seen.is_endless,
        n_unreadable=seen.n_unreadable,
        contexts=[
            _lengths(context, model.bos_id)
            for context in islice(packed, SHOWN_CONTEXTS)
        ],
    )


def _estimate(n_tokens: int, seen: Beginning) -> int | None:
    """Tokens of the whole, by what was read of its bytes or its rows."""
    if seen.n_bytes is not None:
        return max(n_tokens, n_tokens * seen.n_bytes // max(1, seen.n_bytes_read))
    if seen.n_rows is not None:
        return max(n_tokens, n_tokens * seen.n_rows // len(seen.rows))
    return None


def _lengths(context: NDArray[np.int32], bos_id: int) -> list[int]:
    starts = np.flatnonzero(context == bos_id)
    return np.diff(starts, append=len(context)).tolist()


def _shown(model: "LoadedModel", row: Document) -> str:
    text = row if isinstance(row, str) else model.decode(row[:SHOWN_CHARACTERS])
    said = " ".join(text[: 2 * SHOWN_CHARACTERS].split())
    return said if len(said) <= SHOWN_CHARACTERS else f"{said[:SHOWN_CHARACTERS]}…"
