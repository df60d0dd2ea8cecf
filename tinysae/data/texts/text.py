"""What a text is to those who read it: documents, some of them kept apart.

Whether a document is held out follows from its own content, so that no copy of it is
trained on, whatever the seed, the order and the file it stands in. Documents that are
long for the size of their text are cut into pieces first, and each piece is a document.
"""

import hashlib
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TypeVar

import numpy as np

from tinysae.errors import InputError
from tinysae.hub.repository import Progress

logger = logging.getLogger(__name__)

Document = str | Sequence[int]
"""Text, or the token ids of a text."""
D = TypeVar("D", str, Sequence[int], Document)

# One document in ten is kept apart: enough of a small text, little of a large one.
HELD_OUT_OF = 10
# Characters, or token ids, of a document. A text has pieces enough for some of them to
# be held out if it is not smaller than a page.
LONGEST_PIECE, SHORTEST_PIECE = 20_000, 500
PIECES_A_TEXT = 200
# Documents that are put in another order together: as many, or as long.
WINDOW_DOCUMENTS, WINDOW_LENGTH = 4096, 1 << 22


class Text:
    """A text of an end. A kind of text gives its `rows`; the rest follows from them.

    Attributes:
        n_bytes: how large its files are; None where that says little of its length.
        n_bytes_read: about how many of these the rows given so far took.
        is_endless: it never ends, and is never read twice.
        n_unreadable: rows that were passed over, as they are met.
    """

    n_bytes: int | None = None
    n_bytes_read = 0
    is_endless = False
    n_unreadable = 0

    def bring(self, progress: Progress) -> None:
        """Brings to this disk what has to be there before it can be read: nothing, of
        most kinds.

        Raises:
            TinysaeError: it cannot be had.
        """

    def count_rows(self) -> int | None:
        """How many rows it says it has; None where nothing says so."""
        return None

    def rows(self) -> Iterator[Document]:
        """Its documents, each time from the first on and in the same order.

        Raises:
            TinysaeError: it cannot be read (any more).
        """
        raise NotImplementedError

    def documents(self, seed: int, *, held_out: bool = False) -> Iterator[Document]:
        """Documents in an order that follows from `seed`.

        Those to train on begin again after the last, in another order, without end;
        those that are held out come once.

        Raises:
            InputError: there is nothing to train on.
            TinysaeError: from `rows`.
        """
        for epoch in count():
            is_empty = True
            rng = random.Random(f"{seed} {epoch}")
            for document in mixed(self._pieces(held_out), rng):
                is_empty = False
                yield document
            if held_out:
                return
            if is_empty:
                raise InputError("text_empty")
            logger.info("the text was read to its end, %d times so far", epoch + 1)

    def _pieces(self, held_out: bool) -> Iterator[Document]:
        size = piece_size(self.n_bytes)
        for row in self.rows():
            for piece in pieces(row, size):
                if is_held_out(piece) == held_out:
                    yield piece


def piece_size(n_bytes: int | None) -> int:
    """The most characters, or token ids, of a document of such a text."""
    if n_bytes is None:
        return LONGEST_PIECE
    return max(SHORTEST_PIECE, min(LONGEST_PIECE, n_bytes // PIECES_A_TEXT))


def pieces(document: Document, size: int) -> Iterator[Document]:
    """The document, cut where it is longer than `size`: text at its paragraphs, lines
    or words if it has any, token ids anywhere."""
    start = 0
    while start < len(document):
        end = min(start + size, len(document))
        if end < len(document) and isinstance(document, str):
            end = _cut(document, start, end)
        piece = document[start:end]
        if not isinstance(piece, str) or (piece := piece.strip()):
            yield piece
        start = end


def _cut(text: str, start: int, end: int) -> int:
    for mark in ("\n\n", "\n", " "):
        # In the second half, so that pieces are not much shorter than they may be.
        place = text.rfind(mark, start + (end - start) // 2, end)
        if place > start:
            return place + len(mark)
    return end


def is_held_out(document: Document) -> bool:
    """Whether that document is kept from training: a matter of its content alone."""
    if isinstance(document, str):
        content = document.encode("utf-8", "surrogatepass")
    else:
        content = np.asarray(document, np.int64).tobytes()
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "little") % HELD_OUT_OF == 0


def mixed(documents: Iterable[D], rng: random.Random) -> Iterator[D]:
    """The same documents, each window of them in an order of its own."""
    window: list[D] = []
    length = 0
    for document in documents:
        window.append(document)
        length += len(document)
        if len(window) == WINDOW_DOCUMENTS or length >= WINDOW_LENGTH:
            rng.shuffle(window)
            yield from window
            window, length = [], 0
    rng.shuffle(window)
    yield from window
