"""The ids of a text that goes on from another.

Most tokenizers but the byte-level ones put a space before a text that they are given,
so that what follows a prompt cannot be tokenized apart from it: " girl" would have two.
"""

from typing import TYPE_CHECKING, NamedTuple

from tinysae.model.text.prompt import checked_ids
from tinysae.render.visible import encodable

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# What a text is put behind, one after another, to find ids that spell it and no more:
# nothing, a line's end, marks and a letter that rarely melt into what follows.
_BEFORE = ("", "\n", ".", ",", "a")


class Continuation(NamedTuple):
    """ids: of the text that goes on. merges: prompt and text as one would be other
    tokens, the prompt's own among them."""

    ids: list[int]
    merges: bool


def continuation(model: "LoadedModel", prompt: str, text: str) -> Continuation:
    """How `text` goes on after `prompt`: what both have beyond the prompt's own ids.

    Where the prompt's own would change, it keeps them, and ids follow that spell `text`
    alone.

    Raises:
        InputError: a prompt beyond all bounds.
    """
    own = checked_ids(model, prompt)
    if not own and text.startswith(" "):
        # The space that begins a text is the tokenizer's own.
        return Continuation(spelling(model, text), merges=False)
    whole = model.encode(prompt + text)
    n = len(own)
    if whole[:n] == own and len(whole) > n:
        return Continuation(whole[n:], merges=False)
    return Continuation(spelling(model, text), merges=True)


def spelling(model: "LoadedModel", text: str) -> list[int]:
    """Ids that in the middle of a text say `text` and no more.

    A tokenizer that cannot (one that changes what it reads) gives those it has.
    """
    wanted = encodable(text).encode()
    token_bytes = model.vocabulary.token_bytes
    for before in _BEFORE:
        own, whole = model.encode(before), model.encode(before + text)
        ids = whole[len(own) :]
        is_apart = whole[: len(own)] == own
        if is_apart and b"".join(token_bytes[token] for token in ids) == wanted:
            return ids
    return model.encode(text)
