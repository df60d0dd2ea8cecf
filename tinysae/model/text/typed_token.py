"""The one token that a person means by what they typed."""

from typing import TYPE_CHECKING

from tinysae.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel

# What a reader may type for one token; the longest tokens are shorter by far.
MAX_TOKEN_CHARACTERS = 80


def one_token(model: "LoadedModel", typed: str, log_probs: "Tensor") -> int:
    """The token that `typed` means: with a space before it or as it is, whichever is
    one token; of two the likelier one by `log_probs` [d_vocab].

    Raises:
        InputError: neither is one token.
    """
    readings = [typed] if typed.startswith(" ") else [f" {typed}", typed]
    whole = [ids[0] for text in readings if len(ids := model.encode(text)) == 1]
    if not whole:
        pieces = " ".join(
            f"“{piece}”"
            for piece in model.token_texts(
                model.encode(readings[0][:MAX_TOKEN_CHARACTERS])
            )
        )
        raise InputError("why_not_one_token", typed=typed[:80], pieces=pieces)
    return max(whole, key=lambda token: float(log_probs[token]))
