"""Text that somebody pasted: a file in the home, named by its content."""

import re
from pathlib import Path

from tinysae.config import TextChoice
from tinysae.data.texts.local import Files
from tinysae.errors import InputError, MissingError
from tinysae.jobs.files import make_folder, sha256_of, write_text
from tinysae.jobs.home import home, home_errors
from tinysae.render.visible import encodable

PREFIX = "pasted:"
SHA_DIGITS = 64
# What a browser sends in one message without stalling; more is better a file.
MAX_CHARACTERS = 5_000_000


def opened(choice: TextChoice) -> Files | None:
    if not choice.path.startswith(PREFIX):
        return None
    file = _file(choice.path.removeprefix(PREFIX))
    if not file.is_file():
        raise MissingError("text_paste_missing")
    return Files(choice, file)


def keep(text: str) -> str:
    """Keeps a pasted text; returns its `dataset_path`.

    Raises:
        InputError: it is empty or too long.
        MissingError: the home folder does not take files.
    """
    if not text.strip():
        raise InputError("text_empty")
    if len(text) > MAX_CHARACTERS:
        raise InputError("text_paste_too_long", limit=MAX_CHARACTERS)
    # As `write_text` writes it: half a character has no bytes of its own.
    content = encodable(text).encode()
    sha256 = sha256_of(content)
    file = _file(sha256)
    with home_errors():
        make_folder(file.parent)
        if not file.is_file():
            write_text(file, content.decode("utf-8"))
    return PREFIX + sha256


def _file(sha256: str) -> Path:
    """Where the text of that hash is; a hash that is none names no file at all."""
    if not re.fullmatch(f"[0-9a-f]{{{SHA_DIGITS}}}", sha256):
        raise MissingError("text_paste_missing")
    return home() / "texts" / f"{sha256}.txt"
