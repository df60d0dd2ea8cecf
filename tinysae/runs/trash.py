"""Deleting a run moves its folder to `<home>/runs/.trash`, from where it can return."""

import shutil
from contextlib import suppress

from tinysae.config import TrainConfig
from tinysae.errors import InputError, MissingError, TinysaeError
from tinysae.jobs.files import make_folder
from tinysae.jobs.home import home_error
from tinysae.jobs.job import JOB_ID
from tinysae.runs.store import CONFIG_NAME, Run, runs_dir

TRASH_NAME = ".trash"


def delete(run: Run) -> None:
    """Moves the run to the trash.

    Raises:
        BusyError: it is being worked on.
        MissingError: the home folder cannot be written.
    """
    if run.status.is_working:
        raise run.busy_error()
    trash = runs_dir() / TRASH_NAME
    try:
        make_folder(trash)
        run.path.rename(trash / run.id)
    except FileNotFoundError as problem:
        raise MissingError("unknown_run", run=run.id) from problem
    except OSError as problem:
        raise home_error(problem) from problem


def deleted_runs() -> list[Run]:
    """What is in the trash and can be read, newest first."""
    try:
        folders = sorted((runs_dir() / TRASH_NAME).iterdir(), reverse=True)
    except OSError:
        return []
    runs: list[Run] = []
    for folder in folders:
        with suppress(TinysaeError, OSError, UnicodeDecodeError):
            text = (folder / CONFIG_NAME).read_text(encoding="utf-8")
            runs.append(Run(folder.name, folder, TrainConfig.loads(text)))
    return runs


def restore(run_id: str) -> None:
    """Undoes `delete`.

    Raises:
        InputError: not a run's id.
        MissingError: it is not in the trash (any more).
    """
    if not JOB_ID.fullmatch(run_id):
        raise InputError("run_id", run=run_id[:80])
    try:
        (runs_dir() / TRASH_NAME / run_id).rename(runs_dir() / run_id)
    except FileNotFoundError as problem:
        raise MissingError("unknown_run", run=run_id) from problem
    except OSError as problem:
        raise home_error(problem) from problem


def empty_trash() -> None:
    """Deletes what is in the trash for good."""
    shutil.rmtree(runs_dir() / TRASH_NAME, ignore_errors=True)
