"""What commands say in a terminal."""

import sys
from typing import TYPE_CHECKING

from tinysae.render.visible import encodable, visible

if TYPE_CHECKING:
    from tinysae.model.loaded import LoadedModel


def write(text: str) -> None:
    """Writes `text`, at once: whoever reads it may be waiting for the next word."""
    sys.stdout.write(encodable(text))
    sys.stdout.flush()


def token_said(model: "LoadedModel", token_id: int) -> str:
    """A token's text, in which nothing hides."""
    return visible(model.token_text(token_id))
