"""The home folder: where everything a person makes is kept."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tinysae.errors import MissingError, TinysaeError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def home() -> Path:
    """`$TINYSAE_HOME`, else the folder this code was cloned into."""
    given = os.environ.get("TINYSAE_HOME")
    return Path(given) if given else Path(__file__).parents[2]


def is_disk_full(problem: Exception) -> bool:
    if isinstance(problem, OSError):
        return problem.errno in _FULL
    # An error of its own, with the system's number in its text: safetensors.
    return any(f"(os error {number})" in str(problem) for number in _FULL)


def disk_full_error() -> TinysaeError:
    """The sentence for a home folder without space, whoever noticed it."""
    return home_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def home_error(problem: OSError) -> TinysaeError:
    """The sentence for a home folder that does not take files."""
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    key = "home_full" if is_disk_full(problem) else "home_unwritable"
    return MissingError(key, path=str(home()), reason=reason)


@contextmanager
def home_errors() -> Generator[None]:
    """Around what writes in the home folder.

    Raises:
        MissingError: it does not take files.
    """
    try:
        yield
    except OSError as problem:
        raise home_error(problem) from problem
