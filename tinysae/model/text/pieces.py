"""Token ids -> the exact pieces of text they stand for, one by one.

Tokens shown side by side must give the text back to the letter. Byte-level tokens cut
Korean, emoji and every other character of several bytes in two; decoded one by one
they would all be U+FFFD. Here such a character stands whole at the token that
completes it, and the tokens before hold the empty string.
"""

import codecs
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REPLACEMENT = "\ufffd"


class TextStream(Protocol):
    """Turns ids into text as they come."""

    def feed(self, token_id: int) -> str:
        """What `token_id` adds to the text; empty while a character is incomplete."""
        ...

    def finish(self) -> str:
        """What is left at the end: U+FFFD for a character that was never completed."""
        ...


class ByteStream:
    """For byte-level tokenizers, whose tokens are bytes: exact for any sequence."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """What `token_id` adds to the text; empty while a character is incomplete."""
        return self._decoder.decode(self._token_bytes[token_id])

    def finish(self) -> str:
        """U+FFFD when the last character was never completed, else nothing."""
        return self._decoder.decode(b"", final=True)


class WindowStream:
    """For every other tokenizer: decodes a short window and takes what is new in it.

    SentencePiece drops the space before a sentence's first token, so a token can only
    be read together with the one before it.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        self._window: list[int] = []
        self._n_read = 0

    def feed(self, token_id: int) -> str:
        """What `token_id` adds to the text; empty while a character is incomplete."""
        self._window.append(token_id)
        new = self._unread()
        if not new or new.endswith(REPLACEMENT):
            return ""
        # The last token that was read stays: it is the context of the next one.
        self._window = self._window[self._n_read :]
        self._n_read = len(self._window)
        return new

    def finish(self) -> str:
        """What the tokens held back so far stand for."""
        new = self._unread()
        self._n_read = len(self._window)
        return new

    def _unread(self) -> str:
        before = self._decode(self._window[: self._n_read])
        return self._decode(self._window)[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=False)


def token_texts(stream: TextStream, ids: Sequence[int]) -> list[str]:
    """The piece of text of every token; joined they are the decoded text exactly."""
    pieces = [stream.feed(token_id) for token_id in ids]
    if pieces:
        pieces[-1] += stream.finish()
    return pieces


def is_byte_level(tokenizer: "Tokenizer") -> bool:
    """Whether every token is bytes, whatever stands before it."""
    from tokenizers import decoders

    return isinstance(tokenizer.decoder, decoders.ByteLevel)


def bytes_of_tokens(tokenizer: "Tokenizer", n_tokens: int) -> list[bytes] | None:
    """The bytes of every id below `n_tokens`, or None if it is not byte-level.

    Ids without a token (an embedding padded to a round size) stand for nothing.
    """
    if not is_byte_level(tokenizer):
        return None
    added = tokenizer.get_added_tokens_decoder()
    alphabet = _byte_of_character()
    token_bytes = [b""] * n_tokens
    for token, token_id in tokenizer.get_vocab().items():
        if token_id in added or token_id >= n_tokens:
            continue
        # Latin-1 is the bytes 0 to 255 as they are; what has no byte is left alone by
        # the table, and is no token of this kind.
        try:
            token_bytes[token_id] = token.translate(alphabet).encode("latin-1")
        except UnicodeEncodeError:
            token_bytes[token_id] = token.encode()
    for token_id, token in added.items():
        if token_id < n_tokens:
            token_bytes[token_id] = token.content.encode()
    return token_bytes


@cache
def _byte_of_character() -> dict[int, int]:
    """GPT-2's alphabet: every byte has a printable character (openai/gpt-2 encoder).

    From code point to byte, for `str.translate`.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    # What is printable stands for itself; the others were moved up.
    own = dict.fromkeys(others, 0xFFFF) | {byte: byte for byte in printable}
    return own | {256 + place: byte for place, byte in enumerate(others)}
