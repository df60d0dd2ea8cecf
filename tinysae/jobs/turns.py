"""One training works at a time; the others wait, the oldest first.

Everyone who waits is a small process of its own that has loaded nothing yet. Whose turn
it is follows from the files and locks in the runs' folder alone, so that any number of
servers on one home agree, and who dies gives its turn away by dying. Jobs of other
folders that compute (an index of an SAE from elsewhere) take turns here too, after the
runs that wait.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tinysae.jobs.files import make_folder, open_private
from tinysae.jobs.home import home
from tinysae.jobs.job import Job, job_ids
from tinysae.jobs.lock import try_lock

TURN_NAME = ".turn.lock"
LOOK_EVERY_S = 0.25


def turns_dir() -> Path:
    """Where those are that take turns: the runs' folder."""
    return home() / "runs"


def wait_for_turn(
    job: Job, sleep: Callable[[float], object] = time.sleep
) -> IO[bytes] | None:
    """Waits until `job` may work; None when somebody asked it to stop meanwhile.

    The turn lasts until the returned file is closed or the process ends.

    Raises:
        OSError: the runs' folder cannot be written.
    """
    make_folder(turns_dir())
    file = open_private(turns_dir() / TURN_NAME, "ab")
    while not job.stop_requested:
        if not jobs_before(job) and try_lock(file):
            return file
        sleep(LOOK_EVERY_S)
    file.close()
    return None


def n_ahead(job: Job) -> int:
    """How many a waiting `job` waits for: those before it, and the one whose turn it
    is."""
    return sum(
        status.is_working and (status.state != "queued" or other.id < job.id)
        for other in _others(job)
        for status in (other.status,)
    )


def jobs_before(job: Job) -> list[Job]:
    """Those that wait for the turn and are older than `job`, newest first."""
    return [
        other
        for other in _others(job)
        if other.id < job.id and other.status.state == "queued"
    ]


def _others(job: Job) -> list[Job]:
    folder = turns_dir()
    return [Job(name, folder / name) for name in job_ids(folder) if name != job.id]
