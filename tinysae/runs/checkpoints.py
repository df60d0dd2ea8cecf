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

from tinysae.jobs.files import by_step, staged_folder
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
def new_checkpoint(run: Run, step: int, *, drops_older: bool = True) -> Generator[Path]:
    """A folder to fill with the state after `step` steps; older ones then go.

    Raises:
        OSError: it cannot be written; the older ones are then still there.
    """
    with staged_folder(run.checkpoints_dir / f"{step:0{DIGITS}}") as stage:
        yield stage
    if drops_older:
        drop_older(run, step)


def drop_older(run: Run, step: int) -> None:
    """Takes away what is older than the checkpoint of `step`, but what was asked
    for."""
    for checkpoint in checkpoints(run):
        if checkpoint.step < step and not checkpoint.is_kept:
            shutil.rmtree(checkpoint.path, ignore_errors=True)


def is_trained(run: Run) -> bool:
    """Whether the run has taken all its steps."""
    newest = checkpoints(run)[-1:]
    return any(c.step >= run.config.total_training_steps for c in newest)


def has_newest_sae(run: Run) -> bool:
    """Whether the run's SAE is of its newest checkpoint, or it has neither."""
    newest = checkpoints(run)[-1:]
    try:
        # Saved after the checkpoint, always.
        return all(
            run.sae_dir.stat().st_mtime >= checkpoint.path.stat().st_mtime
            for checkpoint in newest
        )
    except OSError:
        return False
