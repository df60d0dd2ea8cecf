r"""What every token stands for by itself: the one place that gives a token's text, and
the one that finds the token for a text.

Tokens are kept as bytes: byte-level tokens cut Korean and emoji in the middle of a
character, where strings would have lost what the pieces were.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from tinysae.model.text.pieces import ByteStream, bytes_of_tokens, token_texts
from tinysae.render.visible import visible

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# How tokenizers that fall back on bytes write one (SentencePiece).
_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


class Vocabulary:
    """Token ids <-> texts.

    Args:
        token_bytes: what each token stands for, by id; nothing for ids without a token.
    """

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self.token_bytes = token_bytes

    def __len__(self) -> int:
        return len(self.token_bytes)

    def text(self, token: int) -> str:
        r"""One token by itself, with its space, never empty.

        Bytes that are no whole character are `\xec`; a number without a token (an
        embedding may be larger than its vocabulary) is that number.
        """
        own = self.token_bytes[token]
        return own.decode("utf-8", "backslashreplace") if own else f"<{token}>"

    def texts(self, tokens: Iterable[int]) -> list[str]:
        """Tokens that follow each other.

        A character that spans tokens stands whole at its last one; the tokens before it
        are empty.
        """
        return token_texts(ByteStream(self.token_bytes), list(tokens))

    def find(self, text: str) -> int | None:
        """The token whose text this is, as it is or as pages show it ("␣Lily", "↵");
        of several the one with the least `preference`; None where there is none."""
        token = self._by_text.get(text)
        return self._by_shown.get(text) if token is None else token

    def preference(self, token: int) -> int:
        """Which of the tokens with one text is meant: the least.

        A vocabulary that falls back on bytes has single characters twice: as an unused
        byte, and with a higher id as itself. Else the first is the one learned first.
        """
        return -token if len(self.token_bytes[token]) == 1 else token

    @cached_property
    def _by_text(self) -> dict[str, int]:
        # The last of a text stays.
        last_first = sorted(range(len(self)), key=self.preference, reverse=True)
        return {self.text(token): token for token in last_first}

    @cached_property
    def _by_shown(self) -> dict[str, int]:
        return {visible(text): token for text, token in self._by_text.items()}


def vocabulary_of(tokenizer: "Tokenizer", n_tokens: int) -> Vocabulary:
    """What every id below `n_tokens` stands for to `tokenizer`."""
    token_bytes = bytes_of_tokens(tokenizer, n_tokens)
    if token_bytes is None:
        token_bytes = _decoded_bytes(tokenizer, n_tokens)
    return Vocabulary(token_bytes)


def _decoded_bytes(tokenizer: "Tokenizer", n_tokens: int) -> list[bytes]:
    """What each token adds to a text that it stands in.

    Decoded alone, a token stands at a text's beginning, where most tokenizers leave its
    space out: it is read after itself.
    """
    ids = range(n_tokens)
    alone, twice = (
        tokenizer.decode_batch(
            [[token] * times for token in ids], skip_special_tokens=False
        )
        for times in (1, 2)
    )
    added = tokenizer.get_added_tokens_decoder()
    token_bytes: list[bytes] = []
    for token in ids:
        piece = tokenizer.id_to_token(token) or ""
        byte = _BYTE.fullmatch(piece)
        if token in added and added[token].special:
            own = added[token].content.encode()
        elif byte and alone[token] != piece:
            own = bytes.fromhex(byte[1])
        else:
            own = twice[token][len(alone[token]) :].encode()
        token_bytes.append(own)
    return token_bytes
