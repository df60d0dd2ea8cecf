"""One run works at a time; the others wait, the oldest first.

Every waiting run is a small process of its own that has loaded nothing yet. Whose turn
it is follows from the runs' files and locks alone, so that any number of servers on one
folder agree, and a run that dies gives its turn away by dying.
"""

import time
from collections.abc import Callable
from typing import IO

from tinysae.jobs.launch import stop_requested, try_lock
from tinysae.runs.store import Run, list_runs, runs_dir

TURN_NAME = ".turn.lock"
LOOK_EVERY_S = 0.25


def wait_for_turn(
    run: Run, sleep: Callable[[float], object] = time.sleep
) -> IO[bytes] | None:
    """Waits until `run` may work; None when somebody asked it to stop meanwhile.

    The turn lasts until the returned file is closed or the process ends.

    Raises:
        OSError: the runs' folder cannot be written.
    """
    file = (runs_dir() / TURN_NAME).open("ab")
    while not stop_requested(run.path):
        if not runs_before(run) and try_lock(file.fileno()):
            return file
        sleep(LOOK_EVERY_S)
    file.close()
    return None


def n_ahead(run: Run) -> int:
    """How many runs a waiting `run` waits for: those before it, and the one whose turn
    it is."""
    others = (other for other in list_runs() if other.id != run.id)
    return sum(
        status.is_working and (status.state != "queued" or other.id < run.id)
        for other in others
        for status in (other.status,)
    )


def runs_before(run: Run) -> list[Run]:
    """The runs that wait for the turn and are older than `run`, newest first."""
    return [
        other
        for other in list_runs()
        if other.id < run.id and other.status.state == "queued"
    ]
