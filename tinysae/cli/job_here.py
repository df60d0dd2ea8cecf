"""A job done by the command's own process, in this terminal or as a page's worker."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, TypeVar

from tinysae.cli.output import say
from tinysae.cli.progress_bar import progress_bar
from tinysae.jobs.job import Job
from tinysae.jobs.turns import wait_for_turn
from tinysae.jobs.work import outcome

J = TypeVar("J", bound=Job)


def add_lock_option(parser: argparse.ArgumentParser) -> None:
    """Adds what `jobs.launch` passes: the job's lock, which the parent has taken."""
    parser.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)


def do_here(
    job: J,
    lock_fd: int | None,
    work: Callable[[J], object],
    wait: Callable[[J], IO[bytes] | None] | None = None,
    beside: Callable[[], str] = str,
) -> int:
    """Does `work` under the job's lock, when it is its turn.

    Args:
        wait: waits for its turn, as `wait_for_turn` does.
        beside: what else a terminal shows of it.

    Returns:
        The command's exit status: 0 when it ended as it should.
    """
    with ExitStack() as stack:
        if lock_fd is None:
            stack.enter_context(job.locked())
        with outcome(job):
            say(str(job.path))
            # Who started this process has done it already.
            if lock_fd is None:
                job.enqueue()
            if turn := (wait or wait_for_turn)(job):
                stack.enter_context(turn)
                if sys.stderr.isatty():
                    stack.enter_context(progress_bar(job, beside))
                work(job)
            else:
                job.say("stopped")
        status = job.status
    say(status.state)
    return 0 if status.state in ("done", "stopped") else 1
