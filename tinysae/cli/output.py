"""What a command says on its terminal."""

import sys
from typing import TYPE_CHECKING

from tinysae.render.visible import encodable, visible

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel


def write(text: str) -> None:
    """Writes `text` at once; a terminal has no halves of characters."""
    sys.stdout.write(encodable(text))
    sys.stdout.flush()


def write_line(text: str) -> None:
    """`write`, as a line of its own."""
    write(f"{text}\n")


def shown_token(model: "LoadedModel", token_id: int) -> str:
    """A token's text, in which nothing hides."""
    return visible(model.token_text(token_id))
