"""The one token that a person means by what they typed."""

from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.model.text.continuing import spelling

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel

# What a reader may type for one token; the longest tokens are shorter by far.
MAX_TOKEN_CHARACTERS = 80


def one_token(model: "LoadedModel", typed: str, log_probs: "Tensor") -> int:
    """The token that `typed` means: with a space before it or as it is, whichever is
    one token; of two the likelier one by `log_probs` [d_vocab]. It may be typed as it
    is shown ("␣Lily").

    Raises:
        InputError: neither is one token.
    """
    readings = [typed] if typed.startswith(" ") else [f" {typed}", typed]
    found = (_token(model, text) for text in readings)
    whole = [token for token in found if token is not None]
    if not whole:
        pieces = " ".join(
            f"“{piece}”"
            for piece in model.token_texts(
                model.encode(readings[0][:MAX_TOKEN_CHARACTERS])
            )
        )
        raise InputError("why_not_one_token", typed=typed[:80], pieces=pieces)
    return max(whole, key=lambda token: float(log_probs[token]))


def _token(model: "LoadedModel", text: str) -> int | None:
    token = model.vocabulary.find(text)
    if token is not None or len(text) > MAX_TOKEN_CHARACTERS:
        return token
    # A tokenizer that changes what it reads may have it in small letters.
    ids = spelling(model, text)
    is_it = len(ids) == 1 and model.token_text(ids[0]).casefold() == text.casefold()
    return ids[0] if is_it else None
