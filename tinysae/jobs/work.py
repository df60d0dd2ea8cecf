"""What a job's own process does around its work: a log, a last word, a quick stop."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tinysae.errors import TinysaeError
from tinysae.jobs.home import disk_full_error, is_disk_full
from tinysae.jobs.job import Job

logger = logging.getLogger(__name__)

# How soon a stop is heard where only a thread can hear it.
LOOK_EVERY_S = 0.4


class Stopped(Exception):
    """Somebody asked to stop in the middle of what leaves nothing to keep."""


@contextmanager
def outcome(job: Job, unexpected: str = "worker_failed") -> Generator[None]:
    """Turns whatever goes wrong inside into the job's last status.

    Args:
        unexpected: the sentence for what has none of its own.
    """
    try:
        yield
    except Stopped:
        job.say("stopped")
    except TinysaeError as error:
        logger.warning("%s", error)
        _say_failure(job, error)
    except Exception as problem:
        logger.exception("the worker failed")
        is_full = is_disk_full(problem)
        _say_failure(job, disk_full_error() if is_full else TinysaeError(unexpected))


def _say_failure(job: Job, error: TinysaeError) -> None:
    try:
        job.say("failed", error)
    except OSError:
        # A full disk: without a last word the job reads as interrupted, which it is.
        logger.exception("the status could not be written")


@contextmanager
def quits_when_asked(
    job: Job, before: Callable[[], object] = lambda: None
) -> Generator[None]:
    """Ends this process when somebody asks the job to stop: while something goes on
    inside that nothing can interrupt, and that nothing is lost by.

    Args:
        before: called first; for what has not been said yet.
    """

    def look() -> None:
        if job.stop_requested:
            before()
            job.say("stopped")
            os._exit(0)

    with looking(look, LOOK_EVERY_S):
        yield


@contextmanager
def looking(look: Callable[[], object], every_s: float) -> Generator[None]:
    """Calls `look` every `every_s` seconds, in a thread, for as long as this lasts."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(every_s):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def log_to_stderr() -> None:
    """A worker's stderr is its job's log.txt."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # They name addresses, and those of the hub's storage carry a signature.
    for talkative in ("httpx", "httpx2", "huggingface_hub"):
        logging.getLogger(talkative).setLevel(logging.ERROR)
