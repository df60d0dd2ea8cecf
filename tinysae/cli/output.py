"""What a command says on its terminal."""

import sys


def write(text: str) -> None:
    """Writes `text` at once; a terminal has no halves of characters."""
    sys.stdout.write(text.encode("utf-8", "replace").decode())
    sys.stdout.flush()


def write_line(text: str) -> None:
    """`write`, as a line of its own."""
    write(f"{text}\n")
