"""A job's lock: who holds it is its only worker; it ends with the process that does."""

import fcntl
import time
from pathlib import Path
from typing import IO

from tinysae.jobs.files import open_regular

LOCK_NAME = "lock"
# An observer holds the lock for microseconds; a worker for minutes.
OBSERVER_PATIENCE_S = 1.0
RETRY_S = 0.02


def is_locked(path: Path) -> bool:
    """Whether a worker holds the lock of the job in `path`. Holds nothing itself
    afterwards."""
    try:
        with open_regular(path / LOCK_NAME) as file:
            # Shared, so that two observers never mistake each other for a worker.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # Not there; or somebody else's, who did not let us see whether he works.
        return False
    return False


def take_lock(file: IO[bytes]) -> bool:
    """Locks the open file for a worker; False when another holds it."""
    deadline = time.monotonic() + OBSERVER_PATIENCE_S
    while not try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(RETRY_S)
    return True


def try_lock(file: IO[bytes]) -> bool:
    """Locks the open file if nobody holds it at this moment."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
