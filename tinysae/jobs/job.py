"""A job: work that takes a while, done by a process of its own that outlives the page.

A job is a folder. Whoever asks how far it is reads the files in it; its process is the
only one that writes them, and holds the folder's lock for as long as it lives:

    status.json    what the process last said
    lock           held while there is a process
    log.txt        what it printed
    stop.request   that somebody asked it to stop
    took.json      what its states took
    reserve        space that a full disk gives back for the last words

What a job works on is a subclass's: a training (`runs.store.Run`), an SAE from
elsewhere (`library.saved.SavedSAE`), a transfer (`library.transfers.Transfer`), a
model's download (`model.downloads.Download`).
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

from tinysae.checked_numbers import is_number
from tinysae.errors import BusyError, TinysaeError
from tinysae.jobs.files import clear_hidden, open_private, read_json
from tinysae.jobs.home import home_errors
from tinysae.jobs.lock import LOCK_NAME, take_lock
from tinysae.jobs.status import (
    ENDED,
    JobStatus,
    State,
    keep_reserve,
    read_status,
    write_status,
)

ID_TIME = "%Y%m%d-%H%M%S"
# Of a second, in an id: two clicks in one second keep their order.
TICKS = 4096
# What `new_job_id` makes and nothing else: no dots, no slashes, no leading dash.
JOB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# Of a worker that has said its last word; on a busy machine it takes seconds.
ENDING_PATIENCE_S = 10.0
_LOOK_S = 0.02
_last_tick = 0
_one_at_a_time = threading.Lock()
LOG_NAME, STOP_NAME, TOOK_NAME = "log.txt", "stop.request", "took.json"


@dataclass(frozen=True)
class Job:
    """A job's folder and what is in it.

    Attributes:
        id: what links and commands call it.
        path: its folder.
    """

    id: str
    path: Path

    unsaid: ClassVar[State] = "interrupted"
    """What it is if it never said anything that can be read."""
    counts_last: ClassVar[bool] = False
    """Whether how far it came is worth telling between two of its processes."""

    @property
    def title(self) -> str:
        """What people call it (untrusted text)."""
        return self.id

    @property
    def argument(self) -> str:
        """What its command is told to work on."""
        return self.id

    @property
    def keys(self) -> tuple[str, ...]:
        """How the names of the secret environment variables begin that its process
        needs (`jobs.launch`)."""
        return ()

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""
        with suppress(ValueError, OverflowError):
            return time.mktime(time.strptime(self.id[:15], ID_TIME))
        # It may be gone by now.
        with suppress(OSError):
            return self.path.stat().st_mtime
        return 0.0

    @property
    def log_path(self) -> Path:
        return self.path / LOG_NAME

    @property
    def status(self) -> JobStatus:
        """What it is doing."""
        return read_status(self.path, self.unsaid)

    def say(self, state: State, why: TinysaeError | None = None) -> None:
        """Says that it is in a state of which nothing is counted; of "failed", why.

        Only who holds its lock calls this.

        Raises:
            OSError: from `write_status`.
        """
        before = self.status if self.counts_last else JobStatus(state)
        status = JobStatus(
            state,
            done=before.done,
            total=before.total,
            error=why.key if why else None,
            error_values=why.values if why else None,
        )
        write_status(self.path, status)

    def took(self) -> dict[str, float] | None:
        """Seconds of each state and the peak memory; None until one is over."""
        return self.read_numbers(TOOK_NAME)

    def request_stop(self) -> None:
        """Asks its process to end after the step it is in, keeping what it has.

        Raises:
            MissingError: its folder cannot be written.
        """
        self.leave_request(STOP_NAME)

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked it to stop; its process looks each step."""
        return os.path.exists(self.path / STOP_NAME)

    def leave_request(self, name: str) -> None:
        """Leaves a file called `name` that its process looks for; of a job that is
        gone, nothing.

        Raises:
            MissingError: its folder cannot be written.
        """
        with home_errors(), suppress(FileNotFoundError):
            open_private(self.path / name, "ab").close()

    @contextmanager
    def locked(self) -> Generator[IO[bytes]]:
        """Makes this process its only worker; gives the lock's open file.

        A worker that has said its last word may take a while to end (libraries,
        gigabytes): it is waited for.

        Raises:
            BusyError: it has a worker already.
            OSError: its folder cannot be written.
        """
        with open_private(self.path / LOCK_NAME, "ab") as lock:
            deadline = time.monotonic() + ENDING_PATIENCE_S
            while not take_lock(lock):
                has_ended = self.status.state in ENDED
                if not has_ended or time.monotonic() > deadline:
                    raise self.busy_error()
                time.sleep(_LOOK_S)
            yield lock

    def busy_error(self) -> BusyError:
        """The sentence for who wants to start it while somebody is at it."""
        return BusyError("run_has_worker", name=self.title)

    def enqueue(self) -> None:
        """Makes it ready to be worked on, and says that it waits for its turn.

        Only who has just taken its lock calls this.

        Raises:
            OSError: its folder cannot be written.
        """
        # First of all: it may be what fills the disk.
        self.clear_unfinished()
        keep_reserve(self.path)
        (self.path / STOP_NAME).unlink(missing_ok=True)
        self.say("queued")

    def clear_unfinished(self) -> None:
        """Removes what a killed process was in the middle of writing.

        Only who holds its lock calls this, and knows that nobody is writing.
        """
        clear_hidden(self.path)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The JSON object in one of its files; None when there is none to be read."""
        try:
            return read_json(self.path / name)
        except (OSError, ValueError):
            return None

    def read_numbers(self, name: str) -> dict[str, float] | None:
        """The numbers in the JSON object of one of its files, by name, what is none
        left out; None when there is no object to be read."""
        data = self.read_json(name)
        if data is None:
            return None
        return {key: value for key, value in data.items() if is_number(value)}


def new_job_id() -> str:
    """An id that sorts by time, after those that this process made before, and that
    nobody else picks."""
    global _last_tick
    with _one_at_a_time:
        # A sweep and its points are made in less than a tick.
        tick = max(time.time_ns() * TICKS // 10**9, _last_tick + 1)
        _last_tick = tick
    seconds, rest = divmod(tick, TICKS)
    moment = time.strftime(ID_TIME, time.localtime(seconds))
    return f"{moment}-{rest:03x}{secrets.token_hex(2)}"


def job_ids(folder: Path) -> list[str]:
    """The names in `folder` that could be a job's, the newest first."""
    try:
        names = [path.name for path in folder.iterdir() if not path.is_symlink()]
    except OSError:
        return []
    return sorted(filter(JOB_ID.fullmatch, names), reverse=True)
