"""Files of this machine: .txt, .jsonl, .parquet and .arrow, or a folder of them.

They are read a piece at a time, as data and as nothing else. A folder is read in the
order of its files' names, hidden ones left out; a link that leads out of it is refused.
"""

import codecs
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tinysae.config import TextChoice
from tinysae.data.texts import tables
from tinysae.data.texts.columns import Kind, column_of, kind_of, read
from tinysae.data.texts.text import Document, Text
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.jobs.files import open_regular

logger = logging.getLogger(__name__)

PLAIN, LINES = (".txt", ".text"), (".jsonl", ".ndjson")
SUFFIXES = (*PLAIN, *LINES, *tables.SUFFIXES)
MAX_FILES = 100_000
# Of a folder, known kinds or not: more is a whole disk and not a text.
MAX_ENTRIES = 150_000
MAX_PATH_CHARACTERS = 1024
# TinyStories' own files, and many like them, part their stories by it.
SEPARATOR = "<|endoftext|>"
READ_BYTES = 1 << 20
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# A row that is longer is no text that anybody wrote, and would fill the memory.
MAX_ROW_BYTES = 1 << 28
# Lines that no JSON can be read from are passed over while they are few: a torn last
# line, say. More of them, and it is not the file that it is taken for.
FEW_BAD_LINES, BAD_LINES_SHARE = 10, 0.01


def opened(choice: TextChoice) -> "Files | None":
    return Files(choice, path_of(choice.path)) if is_local_path(choice.path) else None


def is_local_path(text: str) -> bool:
    """Whether `text` names a place on this disk rather than on the hub."""
    if "\\" in text or text.startswith(("/", "~", ".", "file:")):
        return True
    if re.match(r"[A-Za-z]:/", text):
        return True
    return Path(text).suffix.lower() in SUFFIXES


def path_of(text: str) -> Path:
    """The file or folder.

    Raises:
        MissingError: it is not there, or cannot be looked at.
    """
    try:
        if len(text) <= MAX_PATH_CHARACTERS:
            return Path(text).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        pass
    raise MissingError("text_path_missing", path=text[:200])


class Files(Text):
    """The files at `path`, one after the other."""

    def __init__(self, choice: TextChoice, path: Path) -> None:
        self._choice = choice
        self.files = found_files(path)
        plain = all(file.suffix.lower() in PLAIN for file in self.files)
        if plain and choice.is_tokenized:
            raise InputError("text_not_tokenized", file=self.files[0].name)
        # Other formats pack their text, or surround it by other columns.
        if plain or all(file.suffix.lower() in LINES for file in self.files):
            self.n_bytes = sum(file.stat().st_size for file in self.files)

    def count_rows(self) -> int | None:
        if all(file.suffix.lower() == ".parquet" for file in self.files):
            return sum(tables.n_parquet_rows(file) for file in self.files)
        return None

    def rows(self) -> Iterator[Document]:
        self.n_unreadable = self.n_bytes_read = 0
        for file in self.files:
            try:
                yield from self._rows_of(file)
            except OSError as problem:
                reason = problem.strerror or type(problem).__name__
                raise DamagedError(
                    "text_unreadable", file=file.name, reason=reason
                ) from problem

    def _rows_of(self, file: Path) -> Iterator[Document]:
        suffix = file.suffix.lower()
        if suffix in PLAIN:
            return self._rows_of_plain(file)
        if suffix in LINES:
            return self._rows_of_lines(file)
        return tables.rows(file, self._choice)

    def _rows_of_plain(self, file: Path) -> Iterator[Document]:
        for document, n_bytes in separated(plain_text(file)):
            self.n_bytes_read += n_bytes
            yield document

    def _rows_of_lines(self, file: Path) -> Iterator[Document]:
        column = ""
        n_lines = n_bad = 0
        for line in lines(file):
            n_lines += 1
            self.n_bytes_read += len(line)
            row = _object(line)
            document = None
            if row is not None:
                if not column:
                    kinds: dict[str, Kind] = {
                        name: kind_of(value) for name, value in row.items()
                    }
                    column = column_of(kinds, self._choice)
                value = row.get(column)
                if value is None:
                    continue
                document = read(value, self._choice)
            if document is None:
                n_bad += 1
                self.n_unreadable += 1
                if n_bad > FEW_BAD_LINES + BAD_LINES_SHARE * n_lines:
                    raise DamagedError("text_bad_lines", file=file.name, line=n_lines)
                continue
            yield document
        if n_bad and n_bad == n_lines:
            raise DamagedError("text_bad_lines", file=file.name, line=n_lines)
        if n_bad:
            logger.warning("%s: %d lines passed over", file.name, n_bad)


def found_files(path: Path) -> list[Path]:
    """The file itself, or those in the folder `path` that can be read, in order.

    Raises:
        InputError: no file of a kind that is known; or a link leads out of the folder.
    """
    if not os.path.isdir(path):
        if path.suffix.lower() not in SUFFIXES or not os.path.isfile(path):
            raise InputError(
                "text_file_kind", file=path.name, kinds=", ".join(SUFFIXES)
            )
        if not path.stat().st_size:
            raise InputError("text_empty")
        return [path]
    files: list[Path] = []
    n_entries = 0
    # Links to folders are not followed: they may lead in a circle.
    for folder, inner, names in os.walk(path):
        n_entries += len(inner) + len(names)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder) / name
            if name.startswith(".") or file.suffix.lower() not in SUFFIXES:
                continue
            # Unlike `Path.resolve`, it has nothing against links that lead in a circle.
            if not Path(os.path.realpath(file)).is_relative_to(path):
                raise InputError("text_link_out", file=name, folder=path.name)
            if os.path.isfile(file) and file.stat().st_size:
                files.append(file)
        if len(files) > MAX_FILES or n_entries > MAX_ENTRIES:
            raise InputError("text_many_files", limit=MAX_FILES)
    if not files:
        raise InputError(
            "text_folder_empty", folder=path.name, kinds=", ".join(SUFFIXES)
        )
    return files


def plain_text(file: Path) -> Iterator[str]:
    """The file's text, in parts of about `READ_BYTES`.

    Raises:
        DamagedError: it is not text in UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    done = 0
    with open_regular(file) as source:
        while True:
            part = source.read(READ_BYTES)
            if not done and part.startswith(UTF16):
                raise DamagedError("text_not_utf8", file=file.name, byte=0)
            if b"\0" in part:
                raise DamagedError("text_binary", file=file.name)
            try:
                text = decoder.decode(part, final=not part)
            except UnicodeDecodeError as problem:
                raise DamagedError(
                    "text_not_utf8", file=file.name, byte=done + problem.start
                ) from problem
            done += len(part)
            # Every platform's line ends, as Python's own text files read them.
            yield text.replace("\r\n", "\n")
            if not part:
                return


def separated(parts: Iterator[str]) -> Iterator[tuple[str, int]]:
    """Documents between separators; without any, pieces that end with a paragraph.

    With each, the bytes that it took of the text, its separator included.
    """
    rest = ""
    for part in parts:
        *whole, rest = (rest + part).split(SEPARATOR)
        for document in whole:
            yield document, size_of(document + SEPARATOR)
        if len(rest) >= READ_BYTES:
            # Not within what may be the beginning of a separator.
            end = rest.rfind("\n\n", 0, len(rest) - len(SEPARATOR))
            end = end if end > 0 else len(rest) - len(SEPARATOR)
            yield rest[:end], size_of(rest[:end])
            rest = rest[end:]
    yield rest, size_of(rest)


def size_of(text: str) -> int:
    """What `text` takes in a file."""
    return len(text.encode("utf-8"))


def lines(file: Path) -> Iterator[bytes]:
    """The file's lines that are not blank.

    Raises:
        DamagedError: a line is longer than any text is.
    """
    with open_regular(file) as source:
        if source.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            source.seek(0)
        number = 0
        while line := _line(source):
            number += 1
            if len(line) > MAX_ROW_BYTES:
                raise DamagedError("text_row_too_long", file=file.name, row=number)
            if line.strip():
                yield line


def _line(source: IO[bytes]) -> bytes:
    return source.readline(MAX_ROW_BYTES + 1)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    # Brackets within brackets without end are a RecursionError.
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
