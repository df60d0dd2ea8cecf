"""All active (feature, token) pairs of a corpus, on disk while its index is built.

The text and the model are gone through once. What is found is kept in shards of at most
65,536 tokens, feature by feature, so that everything about a feature can afterwards be
computed from all its pairs: exactly, in any order, a band of features at a time. A
shard is complete or not there; a build that was killed goes on after the last one.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.features.index import kernels
from tinysae.jobs.files import clear_hidden, read_json, staged_folder, write_json
from tinysae.sae.step.pairs import Pairs

KEY_NAME = "made_from.json"
# A token's place in its shard is 16 bits.
SHARD_TOKENS = 1 << 16


class Band(NamedTuple):
    """All pairs of the features from `begin` on (see `tinysae.features.index.kernels`).

    first [features + 1]; position, value [pairs].
    """

    begin: int
    first: NDArray[np.int64]
    position: NDArray[np.int32]
    value: NDArray[np.float32]


class Shard:
    """The pairs of some consecutive contexts, on disk.

    first [d_sae + 1]: feature j's are first[j]:first[j + 1]; base: the place of its
    first token in the corpus; tokens [contexts, context_size].

    Raises:
        OSError, ValueError: the files are not whole.
    """

    def __init__(self, folder: Path, base: int, shape: tuple[int, int]) -> None:
        self.base, self.n_tokens = base, shape[0] * shape[1]
        self._folder = folder
        self.tokens = np.fromfile(folder / "tokens", np.int32).reshape(shape)
        self.first = np.fromfile(folder / "first", np.int64)
        sizes = {"token": token_type(shape[1]).itemsize, "value": 4}
        for name, size in sizes.items():
            if (folder / name).stat().st_size != size * self.first[-1]:
                raise ValueError(f"{folder / name} is not as long as it was written")

    def token(self, begin: int, end: int) -> NDArray[Any]:
        """Places in the shard of the pairs of features `begin` to before `end`."""
        return self._read("token", token_type(self.tokens.shape[1]), begin, end)

    def value(self, begin: int, end: int) -> NDArray[np.float32]:
        """Activations of the pairs of features `begin` to before `end`."""
        return self._read("value", np.dtype(np.float32), begin, end)

    def _read(self, name: str, kind: np.dtype, begin: int, end: int) -> NDArray[Any]:
        # Not memory-mapped: pages that were read would count as ours for good.
        count = int(self.first[end] - self.first[begin])
        offset = int(self.first[begin]) * kind.itemsize
        values = np.fromfile(self._folder / name, kind, count, offset=offset)
        if len(values) != count:
            raise OSError(f"{self._folder / name} is too short")
        return values


def token_type(context_size: int) -> np.dtype:
    """The integer type that holds a token's place in a shard."""
    return np.dtype(np.uint16 if context_size <= SHARD_TOKENS else np.int32)


class PairStore:
    """The shards of one build; a context manager that waits for its last writes.

    Args:
        folder: where they are, and where those of an earlier try may be.
        key: what they are made from; shards of anything else are thrown away.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self._folder = folder
        self.shards: list[Shard] = []
        self._writer = ThreadPoolExecutor(1, "pairs")
        self._written: Future[None] | None = None
        if folder.exists() and _key(folder) != key:
            shutil.rmtree(folder)
        if not folder.exists():
            with staged_folder(folder) as stage:
                write_json(stage / KEY_NAME, key)
        clear_hidden(folder)

    def __enter__(self) -> "PairStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.shutdown(wait=True)

    def kept(self) -> int:
        """Contexts of the next shard that is there from an earlier try; 0: none."""
        shape = self._shape(len(self.shards))
        return shape[0] if shape else 0

    def keep(self, tokens: NDArray[np.int32]) -> bool:
        """Goes on with the next shard that is there, if it is of these contexts.

        If not, it and all after it are thrown away.
        """
        number = len(self.shards)
        shard = self._open(number, tokens.shape)
        if shard is not None and np.array_equal(shard.tokens, tokens):
            self.shards.append(shard)
            return True
        while (folder := self._at(number)).exists():
            shutil.rmtree(folder)
            number += 1
        return False

    def append(
        self,
        tokens: NDArray[np.int32],
        first: NDArray[np.int64],
        token: NDArray[Any],
        value: NDArray[np.float32],
    ) -> None:
        """Writes the next shard while the caller goes on; waits for the one before.

        Raises:
            OSError: the one before could not be written.
        """
        self.wait()
        number = len(self.shards)
        arrays = {"tokens": tokens, "first": first, "token": token, "value": value}
        shape = (int(tokens.shape[0]), int(tokens.shape[1]))
        self._written = self._writer.submit(self._write, number, arrays, shape)

    def wait(self) -> None:
        """Waits until everything is written.

        Raises:
            OSError: it could not be.
        """
        if self._written is not None:
            self._written.result()
            self._written = None

    def remove(self) -> None:
        """Deletes everything."""
        self._writer.shutdown(wait=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def n_fired(self) -> NDArray[np.int64]:
        """[d_sae]: every feature's number of pairs."""
        return np.sum([np.diff(shard.first) for shard in self.shards], axis=0)

    def band(self, begin: int, end: int) -> Band:
        """All pairs of some features."""
        firsts = [shard.first[begin : end + 1] for shard in self.shards]
        first = np.zeros(end - begin + 1, np.int64)
        np.cumsum(np.sum([np.diff(own) for own in firsts], axis=0), out=first[1:])
        position = np.empty(int(first[-1]), np.int32)
        value = np.empty(int(first[-1]), np.float32)
        at = first[:-1].copy()
        for shard, own in zip(self.shards, firsts, strict=True):
            token, values = shard.token(begin, end), shard.value(begin, end)
            kernels.gather(own, token, values, shard.base, at, position, value)
        return Band(begin, first, position, value)

    def _at(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _shape(self, number: int) -> tuple[int, int] | None:
        try:
            shape = read_json(self._at(number) / "shape.json")
            return int(shape["contexts"]), int(shape["context_size"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _open(self, number: int, shape: tuple[int, ...]) -> Shard | None:
        if self._shape(number) != shape:
            return None
        base = sum(shard.n_tokens for shard in self.shards)
        try:
            return Shard(self._at(number), base, (shape[0], shape[1]))
        except (OSError, ValueError):
            return None

    def _write(
        self, number: int, arrays: dict[str, NDArray[Any]], shape: tuple[int, int]
    ) -> None:
        with staged_folder(self._at(number)) as stage:
            for name, array in arrays.items():
                array.tofile(stage / name)
            size = {"contexts": shape[0], "context_size": shape[1]}
            write_json(stage / "shape.json", size)
        base = sum(shard.n_tokens for shard in self.shards)
        self.shards.append(Shard(self._at(number), base, shape))


def assembled(
    pieces: Sequence[Pairs],
    d_sae: int,
    is_read: NDArray[np.bool_],
    kind: np.dtype,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float32]]:
    """Tiles of pairs, in the tokens' order, as one shard: first, token, value.

    Pairs on tokens that are not read are left out.
    """
    counts = np.zeros(d_sae, np.int64)
    for piece in pieces:
        kernels.count_read(piece.first, piece.token, is_read, counts[piece.rows])
    first = np.zeros(d_sae + 1, np.int64)
    np.cumsum(counts, out=first[1:])
    token, value = np.empty(int(first[-1]), kind), np.empty(int(first[-1]), np.float32)
    at = first[:-1].copy()
    for piece in pieces:
        kernels.place_read(*piece[1:], is_read, at[piece.rows], token, value)
    return first, token, value


def _key(folder: Path) -> dict[str, Any] | None:
    try:
        return read_json(folder / KEY_NAME)
    except (OSError, ValueError, RecursionError):
        return None
