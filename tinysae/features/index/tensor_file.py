"""A safetensors file of which a few rows are read at a time."""

from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray


class TensorFile:
    """Open and memory-mapped; several threads may read from it, and what they read
    stays what it was when the file at that path is replaced.

    Raises:
        SafetensorError, OSError: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._file = safe_open(path, framework="numpy")
        # safetensors does not promise that threads may share it.
        self._lock = Lock()

    def shape(self, name: str) -> list[int]:
        return self._file.get_slice(name).get_shape()

    def type_of(self, name: str) -> str:
        """As safetensors writes it: "I32", "F32"."""
        return self._file.get_slice(name).get_dtype()

    def rows(self, name: str, begin: int, end: int) -> NDArray[Any]:
        """The rows from `begin` to before `end`.

        Raises:
            ValueError: there are no such rows.
        """
        with self._lock:
            part = self._file.get_slice(name)
            n_rows = part.get_shape()[0]
            if not 0 <= begin <= end <= n_rows:
                raise ValueError(f"{name} has {n_rows} rows, not {begin} to {end}")
            if begin < end:
                return part[begin:end]
            # safetensors 0.8 refuses an empty slice at a tensor's end.
            return (part[:1] if n_rows else self._file.get_tensor(name))[:0]

    def row(self, name: str, number: int) -> NDArray[Any]:
        """One row; ValueError as `rows`."""
        return self.rows(name, number, number + 1)[0]

    def columns(self, name: str, n: int) -> NDArray[Any]:
        """The first `n` columns of every row, or as many as there are."""
        with self._lock:
            part = self._file.get_slice(name)
            return part[:, : min(n, part.get_shape()[1])]
