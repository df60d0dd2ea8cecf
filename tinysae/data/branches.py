"""One reading, several readers: each row is made once, and each place in it goes its
own way."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Branches(Generic[T]):
    """Rows as an iterator for each place in a row, which threads of their own may read.

    Whoever comes first makes the next row. What it has for the others is kept until
    they come, so they should go at one pace, or `leave`.

    Args:
        rows_from: rows from the n-th on; asked once, by whoever begins.
        n: places in a row.
    """

    def __init__(
        self, rows_from: Callable[[int], Iterator[Sequence[T]]], n: int
    ) -> None:
        self._rows_from, self._lock = rows_from, threading.Lock()
        self._rows: Iterator[Sequence[T]] | None = None
        self._begun_at: int | None = None
        self._problem: Exception | None = None
        self._kept: dict[int, deque[T]] = {at: deque() for at in range(n)}

    def branch(self, at: int, start: int) -> Iterator[T]:
        """What stands at place `at` in the rows from `start` on. What goes wrong with a
        row is raised to everybody who comes to it.

        Raises:
            ValueError: others began elsewhere.
        """
        with self._lock:
            if self._rows is None:
                self._rows, self._begun_at = self._rows_from(start), start
            if start != self._begun_at:
                raise ValueError(f"one begins at {start}, others at {self._begun_at}")
        return iter(lambda: self._next(at), None)

    def leave(self, at: int) -> None:
        """Nothing is kept for that place any more."""
        with self._lock:
            self._kept.pop(at, None)

    def _next(self, at: int) -> T | None:
        """The next at that place; None after the last."""
        with self._lock:
            if at not in self._kept or self._rows is None:
                return None
            if not self._kept[at]:
                row = self._row(self._rows)
                if row is None:
                    return None
                for place, kept in self._kept.items():
                    kept.append(row[place])
            return self._kept[at].popleft()

    def _row(self, rows: Iterator[Sequence[T]]) -> Sequence[T] | None:
        """The next row; None after the last."""
        # To the others, an iterator that has failed looks like one that is over.
        if self._problem is not None:
            raise self._problem
        try:
            return next(rows, None)
        except Exception as problem:
            self._problem = problem
            raise
