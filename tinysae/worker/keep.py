"""Between two steps: checkpoints, to resume from and to look at afterwards."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinysae.runs.checkpoints import (
    SAE_NAME,
    checkpoints,
    drop_older,
    new_checkpoint,
)
from tinysae.runs.metrics import MetricsLog
from tinysae.runs.store import Run

if TYPE_CHECKING:
    from tinysae.sae.train import SAETraining

logger = logging.getLogger(__name__)

# What a crash may cost, and what guarding against it may: on a large SAE, whose
# checkpoints take seconds to write, they come less often.
CHECKPOINT_EVERY_S = 20.0
CHECKPOINT_SHARE = 0.02


class Keeper:
    """Writes checkpoints: now and then one to resume from, and those asked for."""

    def __init__(
        self, run: Run, training: "SAETraining", logs: Sequence[MetricsLog[Any]]
    ) -> None:
        self._run, self._training, self._logs = run, training, logs
        self._written_at, self._took = time.monotonic(), 0.0
        total, n = run.config.total_training_steps, run.config.n_checkpoints
        # As SAELens spaces them: none at the start and none at the end.
        spacing = -(-total // (n + 1))
        self._wanted = set(range(spacing, total, spacing)) if n else set[int]()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody asked for a checkpoint of this step, with an SAE."""
        return self._training.n_steps in self._wanted

    @property
    def is_healthy(self) -> bool:
        """Whether there is something worth keeping."""
        return self._training.is_healthy

    def keep_if_due(self) -> None:
        is_time = time.monotonic() - self._written_at > pause_after(self._took)
        if self.is_wanted or (is_time and self._training.is_healthy):
            self.keep(with_sae=self.is_wanted)

    def keep(self, *, with_sae: bool = False, drops_older: bool = True) -> None:
        """A checkpoint of this moment; the older ones that nobody asked for go."""
        started = time.monotonic()
        # A checkpoint never knows of more than the curves do, power cut or not.
        for log in self._logs:
            log.sync()
        step = self._training.n_steps
        if any(checkpoint.step == step for checkpoint in checkpoints(self._run)):
            # It holds the same, and perhaps an SAE that was asked for.
            return
        with new_checkpoint(self._run, step, drops_older=drops_older) as stage:
            self._training.save_checkpoint(stage)
            if with_sae:
                (stage / SAE_NAME).mkdir()
                self._training.save(stage / SAE_NAME)
        self._written_at = time.monotonic()
        self._took = self._written_at - started
        logger.info("checkpoint after step %d", step)

    def drop_older(self) -> None:
        """Takes away those before this moment's."""
        drop_older(self._run, self._training.n_steps)


class KeepersTogether:
    """Writes checkpoints of trainings that take their steps side by side.

    Whenever this is cut off, all of them have one of the same step: the older ones go
    when all new ones are there.
    """

    def __init__(self) -> None:
        self._written_at, self._took = time.monotonic(), 0.0

    def keep_if_due(self, keepers: Sequence[Keeper]) -> None:
        """`keepers` are those of the trainings that still go on."""
        for keeper in keepers:
            if keeper.is_wanted:
                keeper.keep(with_sae=True, drops_older=False)
        if time.monotonic() - self._written_at > pause_after(self._took):
            self.keep([keeper for keeper in keepers if keeper.is_healthy])

    def keep(self, keepers: Sequence[Keeper]) -> None:
        """A checkpoint of each at this moment."""
        started = time.monotonic()
        for keeper in keepers:
            keeper.keep(drops_older=False)
        for keeper in keepers:
            keeper.drop_older()
        self._written_at = time.monotonic()
        self._took = self._written_at - started


def pause_after(took: float) -> float:
    """Seconds from one checkpoint, which took so many, to the next."""
    return max(CHECKPOINT_EVERY_S, took / CHECKPOINT_SHARE)
