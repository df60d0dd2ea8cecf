"""How much of a text comes again while it is read."""

from typing import TYPE_CHECKING, TypedDict

from tinysae.config import TextChoice
from tinysae.data.corpus import tokenized
from tinysae.data.texts import open_text

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# In tokens: half a second's worth. A text that ends before is read again, as a training
# reads it.
LOOKED_AT = 1_000_000


class TextFacts(TypedDict):
    """Of the first tokens that a training reads: how many there are, and those of
    documents that had not come before."""

    n_tokens: int
    n_distinct: int


def text_facts(
    model: "LoadedModel", text: TextChoice, *, seed: int, n_tokens: int
) -> TextFacts:
    """Reads `n_tokens` of the text, `LOOKED_AT` at the most, as a training of that seed
    does. Of a text that never ends nothing is read: none of it comes again.

    Raises:
        TinysaeError: no such text, or it cannot be read.
    """
    wanted = min(n_tokens, LOOKED_AT)
    source = open_text(text)
    if source.is_endless:
        return {"n_tokens": wanted, "n_distinct": wanted}
    seen: set[int] = set()
    read = new = 0
    for ids in tokenized(model, source.documents(seed)):
        read += len(ids)
        if (own := hash(tuple(ids))) not in seen:
            seen.add(own)
            new += len(ids)
        if read >= wanted:
            break
    return {"n_tokens": read, "n_distinct": new}
