"""Lists of folders: those that can be read, and beside them those that cannot.

Anybody may have put a folder there, or broken one. Whatever one of them is like, the
others are listed.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from tinysae.errors import DamagedError, MissingError, TinysaeError
from tinysae.jobs.files import shown_path

K = TypeVar("K")
T = TypeVar("T")

# Characters of what is told of a problem.
MAX_REASON = 200

logger = logging.getLogger(__name__)


class Unreadable(NamedTuple):
    """A folder that could not be read, and why."""

    path: Path
    why: TinysaeError


class Listed(list[T]):
    """What could be read, and what could not: `unreadable`."""

    def __init__(
        self, items: Iterable[T] = (), unreadable: Iterable[Unreadable] = ()
    ) -> None:
        super().__init__(items)
        self.unreadable = list(unreadable)


def listed(
    items: Iterable[K], opened: Callable[[K], T], path_of: Callable[[K], Path]
) -> Listed[T]:
    """What `opened` makes of each of `items`; one that is gone by now is left out.

    Args:
        opened: raises what it likes; a MissingError or FileNotFoundError says that
            there is no such thing (any more).
        path_of: an item's folder.
    """
    readable: Listed[T] = Listed()
    for item in items:
        try:
            readable.append(opened(item))
        except (MissingError, FileNotFoundError, NotADirectoryError):
            continue
        except TinysaeError as why:
            readable.unreadable.append(Unreadable(path_of(item), why))
        except Exception as problem:
            # What nobody thought of must not hide the others either.
            if not isinstance(problem, OSError | ValueError):
                logger.warning("%s: cannot be listed", path_of(item), exc_info=True)
            path = path_of(item)
            said = {"path": shown_path(path), "reason": _reason(problem)}
            why = DamagedError("folder_unreadable", **said)
            readable.unreadable.append(Unreadable(path, why))
    return readable


def _reason(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    is_said = isinstance(problem, ValueError)
    return str(problem)[:MAX_REASON] if is_said else type(problem).__name__
