"""Where a run's checkpoints lie: `checkpoints/<step>/`, one folder each.

A checkpoint appears whole, under a name of its own, before an older one goes: at every
moment the newest that can be seen is complete. One that holds an SAE (`sae/`) was asked
for (`n_checkpoints`) and stays.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tinysae.jobs.files import by_step, clear_hidden, staged_folder
from tinysae.runs.store import Run

SAE_NAME = "sae"
DIGITS = 9


class Checkpoint(NamedTuple):
    step: int
    path: Path

    @property
    def is_kept(self) -> bool:
        return (self.path / SAE_NAME).is_dir()


def checkpoints(run: Run) -> list[Checkpoint]:
    """The run's checkpoints, the newest last."""
    return [Checkpoint(*found) for found in by_step(run.checkpoints_dir)]


@contextmanager
def new_checkpoint(run: Run, step: int) -> Generator[Path]:
    """A folder to fill with the state after `step` steps; older ones then go.

    Raises:
        OSError: it cannot be written; the older ones are then still there.
    """
    older = checkpoints(run)
    with staged_folder(run.checkpoints_dir / f"{step:0{DIGITS}}") as stage:
        yield stage
    for checkpoint in older:
        if checkpoint.step != step and not checkpoint.is_kept:
            shutil.rmtree(checkpoint.path, ignore_errors=True)


def clear_unfinished(run: Run) -> None:
    """Removes what a killed worker was in the middle of writing.

    Only who holds the run's lock may call this, and knows that nobody is writing.
    """
    for folder in (run.path, run.checkpoints_dir, run.live_dir):
        clear_hidden(folder)
