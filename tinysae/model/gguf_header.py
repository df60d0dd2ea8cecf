"""A GGUF file's tables, looked at before any library opens it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A header, entries
of metadata, what each tensor is, and then the tensors. Every count and length in it is
a claim, and is held against the file's size.
"""

from __future__ import annotations

import math
import os
import struct
from io import BufferedReader
from pathlib import Path

from tinysae.errors import DamagedError, MissingError
from tinysae.jobs.files import open_regular

MAGIC = b"GGUF"
# What the package that loads them reads, too.
VERSIONS = (2, 3)
# Bytes of a value of each kind: u8, i8, u16, i16, u32, i32, f32, bool, u64, i64, f64.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
# ggml's own limit.
MAX_DIMENSIONS = 4
# Far beyond any tokenizer's pieces and merges, and a few seconds to walk through.
MAX_ENTRIES = 4_000_000
# No kind of tensor stores a number in less than a bit.
MOST_NUMBERS_A_BYTE = 8


def check_gguf_package(file: Path) -> None:
    """Refuses a file that cannot be loaded here.

    Raises:
        MissingError: the package that reads them is not installed.
    """
    from importlib.util import find_spec

    # Not in requirements.txt: only who brings a GGUF file needs it.
    if find_spec("gguf") is None:
        raise MissingError("gguf_package", file=file.name)


def count_gguf_numbers(file: Path) -> int:
    """How many numbers its tensors hold once they are unpacked.

    Raises:
        DamagedError: its tables are not a GGUF file's, or claim more than there is.
    """
    try:
        with open_regular(file) as stream:
            return _Tables(stream).n_numbers()
    except (OSError, ValueError, struct.error) as problem:
        raise DamagedError("gguf_damaged", file=file.name) from problem


class _Tables:
    """Walks through the tables of one file; a ValueError is a claim that is not so."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size
        self._order, self._n_left = "<", MAX_ENTRIES

    def n_numbers(self) -> int:
        if self._take(len(MAGIC)) != MAGIC:
            raise ValueError("magic")
        version = self._u32()
        if version not in VERSIONS:
            # Of a machine with the other order of bytes.
            self._order = ">"
            (version,) = struct.unpack(">I", struct.pack("<I", version))
        if version not in VERSIONS:
            raise ValueError("version")
        n_tensors, n_entries = self._u64(), self._u64()
        for _ in self._each(n_entries):
            self._skip_string()
            self._skip_value(self._u32())
        numbers = 0
        for _ in self._each(n_tensors):
            self._skip_string()
            n_dimensions = self._u32()
            if n_dimensions > MAX_DIMENSIONS:
                raise ValueError("dimensions")
            numbers += math.prod(self._u64() for _ in range(n_dimensions))
            # Of which kind, and where.
            self._take(4 + 8)
        if numbers > MOST_NUMBERS_A_BYTE * self._n_bytes_left():
            raise ValueError("numbers")
        return numbers

    def _skip_value(self, kind: int) -> None:
        if kind == _STRING:
            self._skip_string()
        elif kind == _ARRAY:
            of, n = self._u32(), self._u64()
            if of == _STRING:
                for _ in self._each(n):
                    self._skip_string()
            else:
                # One within another is no model's.
                self._skip(n * _size(of))
        else:
            self._skip(_size(kind))

    def _each(self, n: int) -> range:
        self._n_left -= n
        if self._n_left < 0:
            raise ValueError("entries")
        return range(n)

    def _skip_string(self) -> None:
        self._skip(self._u64())

    def _skip(self, n: int) -> None:
        if n > self._n_bytes_left():
            raise ValueError("length")
        self._stream.seek(n, os.SEEK_CUR)

    def _take(self, n: int) -> bytes:
        data = self._stream.read(n)
        if len(data) < n:
            raise ValueError("cut short")
        return data

    def _u32(self) -> int:
        return struct.unpack(f"{self._order}I", self._take(4))[0]

    def _u64(self) -> int:
        return struct.unpack(f"{self._order}Q", self._take(8))[0]

    def _n_bytes_left(self) -> int:
        return self._size - self._stream.tell()


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise ValueError("kind")
    return _SIZES[kind]
