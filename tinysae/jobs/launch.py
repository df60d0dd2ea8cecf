"""Starting and stopping a run's worker: a process of its own that outlives the page.

The parent takes the run's lock and hands it down, so that from the first instant there
is either a worker or no lock. The worker gets a session of its own: closing the
browser, the terminal or the server does not end it.
"""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tinysae.config import TrainConfig
from tinysae.errors import BusyError
from tinysae.jobs.home import home_error
from tinysae.runs.checkpoints import clear_unfinished
from tinysae.runs.live import answer_request
from tinysae.runs.store import (
    LOCK_NAME,
    STOP_NAME,
    Run,
    RunStatus,
    create_run,
    keep_reserve,
    write_status,
)

# An observer holds the lock for microseconds; a worker for minutes.
OBSERVER_PATIENCE_S = 1.0
RETRY_S = 0.02
# How soon a stop is heard where only a thread can hear it.
LOOK_EVERY_S = 0.4
CHECKOUT = Path(__file__).parents[2]


def start(config: TrainConfig, estimate: Mapping[str, Any] | None = None) -> Run:
    """Creates a run and starts its worker, which waits for its turn.

    Raises:
        MissingError: the home folder cannot be written.
    """
    run = create_run(config, estimate)
    launch(run, "train")
    return run


def launch(run: Run, command: str) -> None:
    """Runs `python -m tinysae COMMAND RUN` as the run's only worker.

    Raises:
        BusyError: the run has a worker already.
        MissingError: the run's folder cannot be written.
    """
    try:
        with ExitStack() as files:
            lock = files.enter_context((run.path / LOCK_NAME).open("ab"))
            log = files.enter_context(run.log_path.open("ab"))
            if not take_lock(lock.fileno()):
                raise BusyError("run_has_worker", name=run.config.title)
            # Here, so that who asked sees it at once: the worker needs a moment.
            enqueue(run)
            handle = str(lock.fileno())
            spawn(["tinysae", command, run.id, "--lock-fd", handle], lock, log)
    except OSError as problem:
        raise home_error(problem) from problem


def spawn(module: Sequence[str], lock: BinaryIO, log: BinaryIO) -> None:
    """Runs `python -m MODULE ...` in a session of its own, which nothing here ends.

    Args:
        module: its name and arguments.
        lock: an open file that this process has locked; the other one holds it on.
        log: what it prints goes there.
    """
    subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[lock.fileno()],
        start_new_session=True,
    )


def enqueue(run: Run) -> None:
    """Makes the run ready to be worked on, and says that it waits for its turn.

    Only who has just taken the run's lock may call this.

    Raises:
        OSError: the run's folder cannot be written.
    """
    # First of all: it may be what fills the disk.
    clear_unfinished(run)
    keep_reserve(run.path)
    (run.path / STOP_NAME).unlink(missing_ok=True)
    answer_request(run)
    write_status(run.path, RunStatus("queued"))


def request_stop(run: Run) -> None:
    """Asks the worker to end after the step it is in, keeping what it has."""
    with suppress(FileNotFoundError):
        (run.path / STOP_NAME).touch()


def stop_requested(path: Path) -> bool:
    """Whether somebody asked the run in `path` to stop; the worker looks each step."""
    return (path / STOP_NAME).exists()


@contextmanager
def quits_when_asked(path: Path, last_words: Callable[[], object]) -> Generator[None]:
    """Ends this process, after `last_words`, when somebody asks what works in `path` to
    stop: while something goes on inside that nothing can interrupt, and that nothing is
    lost by."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(LOOK_EVERY_S):
            if stop_requested(path):
                last_words()
                os._exit(0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def take_lock(handle: int) -> bool:
    """Locks the open file `handle` for a worker; False when another holds it."""
    deadline = time.monotonic() + OBSERVER_PATIENCE_S
    while not try_lock(handle):
        if time.monotonic() > deadline:
            return False
        time.sleep(RETRY_S)
    return True


def try_lock(handle: int) -> bool:
    """Locks the open file `handle` if nobody holds it at this moment."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
