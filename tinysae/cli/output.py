"""What a command says on its terminal."""

import sys

from tinysae.render.visible import encodable


def write(text: str) -> None:
    """Writes `text` at once; a terminal has no halves of characters."""
    sys.stdout.write(encodable(text))
    sys.stdout.flush()


def write_line(text: str) -> None:
    """`write`, as a line of its own."""
    write(f"{text}\n")
