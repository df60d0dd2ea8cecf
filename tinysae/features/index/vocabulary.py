r"""The bytes of every token, so that contexts can be read with no tokenizer at hand.

Byte-level tokens cut Korean and emoji in the middle of a character: strings would have
lost what the pieces were, bytes have not.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tinysae.model.text.pieces import ByteStream, token_texts

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel


class Vocabulary:
    """Token ids -> texts.

    Args:
        token_bytes: what each token stands for, by id; nothing for ids without a token.
    """

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self.token_bytes = token_bytes

    def __len__(self) -> int:
        return len(self.token_bytes)

    def text(self, token: int) -> str:
        r"""One token by itself; bytes that are no whole character show as `\xec`."""
        own = self.token_bytes[token]
        return own.decode("utf-8", "backslashreplace") if own else f"<{token}>"

    def texts(self, tokens: Iterable[int]) -> list[str]:
        """Tokens that follow each other, as `LoadedModel.token_texts` has them.

        A character that spans tokens stands whole at its last one; the tokens before it
        are empty.
        """
        return token_texts(ByteStream(self.token_bytes), list(tokens))


def vocabulary_of(model: "LoadedModel") -> Vocabulary:
    """What the tokens of `model` stand for, one for each column of its unembedding."""
    if model.token_bytes is not None:
        return Vocabulary(model.token_bytes)
    added = model.backend.get_added_tokens_decoder()
    return Vocabulary(
        [
            added[token].content.encode()
            if token in added
            else _sentence_piece(model.backend.id_to_token(token) or "")
            for token in range(model.d_vocab)
        ]
    )


def _sentence_piece(piece: str) -> bytes:
    if byte := re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece):
        return bytes([int(byte[1], 16)])
    return piece.replace("\u2581", " ").encode()
