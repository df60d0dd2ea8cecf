"""Deleting a run moves its folder to `<home>/runs/.trash`, from where it can return."""

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager

from tinysae.errors import BusyError, InputError, MissingError
from tinysae.jobs.files import make_folder
from tinysae.jobs.home import home_error
from tinysae.jobs.job import JOB_ID, job_ids
from tinysae.jobs.listed import Listed, listed
from tinysae.runs.store import Run, run_in, runs_dir

TRASH_NAME = ".trash"


def delete(run: Run) -> None:
    """Moves the run to the trash.

    Raises:
        BusyError: it is being worked on, or the trash has one of its name.
        MissingError: it is gone, or the home folder cannot be written.
    """
    if run.status.is_working:
        raise run.busy_error()
    trash = runs_dir() / TRASH_NAME
    with _moving(run.id, taken="trash_has_run"):
        make_folder(trash)
        run.path.rename(trash / run.id)


def deleted_runs() -> Listed[Run]:
    """What is in the trash and can be read, newest first."""
    trash = runs_dir() / TRASH_NAME
    return listed(map(trash.joinpath, job_ids(trash)), run_in, lambda path: path)


def restore(run_id: str) -> None:
    """Undoes `delete`.

    Raises:
        InputError: not a run's id.
        BusyError: there is a run of that name again.
        MissingError: it is not in the trash (any more), or the home folder cannot be
            written.
    """
    if not JOB_ID.fullmatch(run_id):
        raise InputError("run_id", run=run_id[:80])
    with _moving(run_id, taken="run_exists"):
        (runs_dir() / TRASH_NAME / run_id).rename(runs_dir() / run_id)


def empty_trash() -> None:
    """Deletes what is in the trash for good."""
    shutil.rmtree(runs_dir() / TRASH_NAME, ignore_errors=True)


@contextmanager
def _moving(run_id: str, taken: str) -> Generator[None]:
    """Around a rename: what keeps it from being done, as a sentence; `taken` is the one
    for a place that is not free."""
    try:
        yield
    except FileNotFoundError as problem:
        raise MissingError("unknown_run", run=run_id) from problem
    except OSError as problem:
        if problem.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise BusyError(taken, run=run_id) from problem
        raise home_error(problem) from problem
