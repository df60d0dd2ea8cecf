"""Features of a run that still trains: `features-live/<step>/`, and asking for them.

Like a checkpoint, an index appears whole, under a name of its own. The one before stays
until the next, for pages that are just reading it.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tinysae.jobs.files import by_step, staged_folder
from tinysae.runs.checkpoints import DIGITS
from tinysae.runs.store import REQUEST_NAME, Run

N_KEPT = 2


class LiveIndex(NamedTuple):
    """The SAE after `step` steps and the index of its features."""

    step: int
    path: Path

    @property
    def sae_dir(self) -> Path:
        return self.path / "sae"

    @property
    def features_dir(self) -> Path:
        return self.path / "features"


def live_indexes(run: Run) -> list[LiveIndex]:
    """Those that are there, the newest last."""
    return [LiveIndex(*found) for found in by_step(run.live_dir)]


@contextmanager
def new_live_index(run: Run, step: int) -> Generator[LiveIndex]:
    """Folders to fill, which then appear at once; all but the one before then go.

    Raises:
        OSError: they cannot be written; the older ones are then still there.
    """
    with staged_folder(run.live_dir / f"{step:0{DIGITS}}") as stage:
        yield LiveIndex(step, stage)
    for old in live_indexes(run)[:-N_KEPT]:
        shutil.rmtree(old.path, ignore_errors=True)


def remove_live_indexes(run: Run) -> None:
    """Takes them away, when there is an index of the whole."""
    shutil.rmtree(run.live_dir, ignore_errors=True)


def request_live_index(run: Run) -> None:
    """Asks the worker for an index of the SAE as it is now.

    Raises:
        MissingError: the run's folder cannot be written.
    """
    run.leave_request(REQUEST_NAME)


def live_index_requested(run: Run) -> bool:
    """Whether somebody asked and the worker has not answered; it looks each step."""
    return os.path.exists(run.path / REQUEST_NAME)


def answer_request(run: Run) -> None:
    """Takes the request away: it has been heard."""
    (run.path / REQUEST_NAME).unlink(missing_ok=True)
