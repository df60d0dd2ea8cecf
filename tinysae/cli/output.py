"""What a command says on its terminal, and the files that it is asked for."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.jobs.files import shown_path
from tinysae.render.visible import encodable, harmless, visible

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel


def write(text: str) -> None:
    """Writes `text` at once. A terminal has no halves of characters, and does what
    control characters say: those of a title, or of what a model wrote, are escaped."""
    sys.stdout.write(harmless(encodable(text)))
    sys.stdout.flush()


def write_line(text: str) -> None:
    """`write`, as a line of its own."""
    write(f"{text}\n")


def counted(n: int, noun: str) -> str:
    """How many of something: 1 feature, 2,000 features."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def say(line: str) -> None:
    """Writes a line beside the output, to the log of a page's worker: it may lie on a
    full disk, which is for the status to say."""
    with suppress(OSError):
        sys.stderr.write(f"{harmless(encodable(line))}\n")


@contextmanager
def asked_file(path: Path) -> Generator[None]:
    """Around writing a file that was asked for (`--out`).

    Raises:
        InputError: it cannot be written there.
    """
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise InputError(
            "export_unwritable", path=shown_path(path), reason=reason
        ) from problem


def shown_token(model: "LoadedModel", token_id: int) -> str:
    """A token's text, in which nothing hides."""
    return visible(model.token_text(token_id))
