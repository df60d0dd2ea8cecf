"""A text as a model reads it: ids that fit the context."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tinysae.errors import InputError

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Longer than any context here by far, and short enough to be tokenized in a blink.
MAX_PROMPT_CHARACTERS = 200_000

# Which part of a text that does not fit is read.
Keep = Literal["end", "start"]


@dataclass(frozen=True)
class Prompt:
    """A text as the model reads it.

    Attributes:
        ids: what is read of the text, without BOS.
        n_cut: how many tokens were left out because they do not fit.
        special: special tokens typed in the text, which are read as plain text.
        kept: which part of a text that does not fit is read: its end or its start.
        has_surrogates: the text had halves of characters, which are read as U+FFFD.
    """

    ids: tuple[int, ...]
    n_cut: int
    special: tuple[str, ...]
    kept: Keep = "end"
    has_surrogates: bool = False


def prepare_prompt(
    model: "LoadedModel", text: str, max_new_tokens: int, keep: Keep = "end"
) -> Prompt:
    """`text` as ids that fit the context.

    A text that fits is never cut. From one that does not, `keep` is kept, and room is
    left for `max_new_tokens`, though for no more than half of the context.

    Raises:
        InputError: more than `MAX_PROMPT_CHARACTERS`.
    """
    ids = checked_ids(model, text)
    n_kept = len(ids)
    if n_kept > model.n_ctx - 1:
        n_kept = model.n_ctx - 1 - min(max_new_tokens, model.n_ctx // 2)
    return _cut(model, text, ids, n_kept, keep)


def prompt_with_room(model: "LoadedModel", text: str, n_room: int) -> Prompt:
    """`text` as ids that leave room for `n_room` more; what does not fit is left out at
    the start.

    Raises:
        InputError: more than `MAX_PROMPT_CHARACTERS`.
    """
    ids = checked_ids(model, text)
    n_kept = min(len(ids), max(model.n_ctx - 1 - n_room, 0))
    return _cut(model, text, ids, n_kept, "end")


def checked_ids(model: "LoadedModel", text: str) -> list[int]:
    """The ids of a whole prompt.

    Raises:
        InputError: more than `MAX_PROMPT_CHARACTERS`.
    """
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise InputError(
            "text_too_long", n=f"{len(text):,}", limit=f"{MAX_PROMPT_CHARACTERS:,}"
        )
    return model.encode(text)


def _cut(
    model: "LoadedModel", text: str, ids: list[int], n_kept: int, keep: Keep
) -> Prompt:
    special = tuple(token for token in model.special_tokens if token in text)
    surrogates = any("\ud800" <= character <= "\udfff" for character in text)
    n_cut = len(ids) - n_kept
    if n_cut:
        token_bytes = model.vocabulary.token_bytes

        def is_inside(n: int) -> bool:
            """Whether a cut before token `n` leaves half of a character's bytes."""
            return n < len(ids) and b"\x80" <= token_bytes[ids[n]][:1] <= b"\xbf"

        if keep == "start":
            while is_inside(n_kept):
                n_kept -= 1
            kept = ids[:n_kept]
        else:
            while is_inside(n_cut):
                n_cut += 1
            kept = ids[n_cut:]
    else:
        kept = ids
    return Prompt(tuple(kept), len(ids) - len(kept), special, keep, surrogates)
