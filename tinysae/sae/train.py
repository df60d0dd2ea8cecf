"""Training an SAE: SAELens's trainer, driven so that it can be watched.

`sae_lens.SAETrainer.fit` logs to wandb only and cannot be stopped without losing the
weights. Here its steps are taken one by one, by `sae.step`: with SAELens's losses, on
SAELens's objects, mostly without its dense products.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.config import TrainConfig
from tinysae.errors import SettingError, TinysaeError
from tinysae.sae.architectures import build_training_sae
from tinysae.sae.batches import TrainingBatches
from tinysae.sae.device import device_of, rounded_products
from tinysae.sae.divergence import DivergenceWatch
from tinysae.sae.look import HeldOutText
from tinysae.sae.rows import EvalMetrics, StepMetrics, row_of
from tinysae.sae.save import runner_config, save_sae
from tinysae.sae.sparsity_control import SparsityControl, is_steered
from tinysae.sae.step.engine import (
    EngineChoice,
    choose_engine,
    make_step,
    numba_problem,
)
from tinysae.sae.step.result import StepResult
from tinysae.sae.step.saelens import dense_step_seconds
from tinysae.sae.together import estimate_norms
from tinysae.sae.tracker import Tracker, Trackers, step_log
from tinysae.sae.training_state import load_checkpoint, write_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.step.saelens import SAELensStep
    from tinysae.sae.step.sparse import SparseStep

# Enough points for a smooth curve (a row costs a pass over the batch), but never rarer
# than the tutorial logs.
ROWS_PER_RUN = 1000
MAX_STEPS_A_ROW = 30
# On which SAELens's step is timed: fast enough to be done at every start.
DENSE_FEATURES = 2048

logger = logging.getLogger(__name__)


class SAETraining:
    """One SAE being trained on one model's activations.

    Args:
        config: the settings.
        model: whose activations; the SAE is trained on the device that it is on.
        engine: what the run's earlier steps were computed by, if there were any.

    Raises:
        SettingError: the model has no such hook, or not that context size, or is on
            another device than the settings say.
        MissingError: no such text.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: "LoadedModel",
        engine: EngineChoice | None = None,
    ) -> None:
        import torch
        from sae_lens.training.sae_trainer import SAETrainer

        if config.hook_name not in model.hook_widths:
            raise SettingError(
                "setting_choice",
                field="hook_name",
                value=config.hook_name,
                choices=", ".join(model.hook_widths),
            )
        self.config = config
        device = device_of(model, config.device)
        # SAELens's own code never uses its seed; weights and shuffling follow this one.
        torch.manual_seed(config.seed)
        d_in = model.hook_widths[config.hook_name]
        self._sae = build_training_sae(config, d_in, device)
        self._runner = runner_config(config, self._sae)
        self.model = model
        self._rounding = ExitStack()
        self._rounding.enter_context(rounded_products(config.precision, device))
        self.batches = TrainingBatches(config, model)
        """What its steps are taken on."""
        self._watch = DivergenceWatch()
        self._trainer: Any = SAETrainer(
            self._runner.to_sae_trainer_config(),
            self._sae,
            self.batches,
        )
        if device == "cuda":
            fuse_adam(self._trainer.optimizer)
        self._control = SparsityControl(config) if is_steered(config) else None
        self.tracker: Tracker = Trackers()
        """Where SAELens would log to."""
        self.step_seconds = 0.0
        """What a step took, without the making of its batch: the median since the row
        before the last."""
        self._took: list[float] = []
        self._engine_before = engine
        # Seconds, the first time on a machine: behind the measuring of the norm. No
        # daemon: a compiler that is cut off by the program's end takes it down.
        self._compiling = threading.Thread(target=numba_problem)
        self._compiling.start()

    @cached_property
    def engine(self) -> EngineChoice:
        """What computes the steps, and why."""
        self._compiling.join()
        choice = choose_engine(self._trainer, self._engine_before)
        logger.info("%s", choice.in_words())
        return choice

    def dense_step_seconds(self) -> float:
        """Seconds that SAELens's own step would take here: measured on a copy with few
        features, to which its time is proportional."""
        import torch
        from sae_lens.training.sae_trainer import SAETrainer

        width, d_in = min(self.config.d_sae, DENSE_FEATURES), self._sae.cfg.d_in
        narrow = replace(
            self.config,
            d_sae=width,
            k=min(self.config.k, width),
            target_l0=min(self.config.target_l0, width),
            wanted_l0=min(self.config.wanted_l0, width),
            matryoshka_widths="",
        )
        # The run's own random numbers stay what they are.
        with torch.random.fork_rng(devices=[]):
            sae = build_training_sae(narrow, d_in, self.device)
            trainer = SAETrainer(self._trainer.cfg, sae, iter(()))
            seconds = dense_step_seconds(trainer, d_in)
        return seconds * self.config.d_sae / width

    @property
    def runner_config(self) -> dict[str, Any]:
        """The settings as SAELens's own runner has them."""
        return self._runner.to_dict()

    @property
    def needs_norm(self) -> bool:
        """Whether `estimate_norm` comes before `run`."""
        return (
            self.config.normalize_activations == "expected_average_only_in"
            and self._trainer.activation_scaler.scaling_factor is None
        )

    @property
    def activation_scale(self) -> float | None:
        """What activations are multiplied with before the SAE sees them; None where
        that is not one number for all (or not known yet)."""
        normalize = self.config.normalize_activations
        if normalize == "none":
            return 1.0
        if normalize == "expected_average_only_in":
            return self._trainer.activation_scaler.scaling_factor
        return None

    @property
    def device(self) -> str:
        """The torch device that the SAE is on."""
        return str(self._sae.cfg.device)

    @property
    def n_steps(self) -> int:
        """Steps taken so far."""
        return self._trainer.n_training_steps

    @property
    def is_healthy(self) -> bool:
        """Whether the present state is worth keeping as a checkpoint."""
        return self._watch.is_healthy

    def save_checkpoint(self, folder: Path) -> None:
        """Writes everything that `resume` needs into `folder`.

        Raises:
            OSError: the folder cannot be written.
        """
        write_checkpoint(self._trainer, self.batches.n_read, folder, self._control)

    def resume(self, folder: Path) -> None:
        """Goes on from where `save_checkpoint` was called: the same numbers, bit for
        bit, as without the interruption (same machine, same number of threads).

        Raises:
            DamagedError: the checkpoint cannot be read or belongs to other settings.
        """
        n_read = load_checkpoint(self._trainer, folder, self._control)
        self.batches.close()
        self.batches = TrainingBatches(self.config, self.model, start=n_read)

    def close(self) -> None:
        """Stops the reading ahead, when the training is over."""
        self.batches.close()
        self._rounding.close()

    def estimate_norm(self, progress: Callable[[int], bool]) -> bool:
        """Measures the scale that makes the activations' mean norm sqrt(d_in).

        The batches it is measured on are not trained on. `progress` hears how many are
        done and stops by returning False; the result says whether it went to the end.
        """
        return estimate_norms([self], progress)

    def scale_to(self, mean_norm: float) -> None:
        """Makes sqrt(d_in) of the activations' mean norm.

        Raises:
            TinysaeError: it is no length.
        """
        if not math.isfinite(mean_norm) or mean_norm == 0:
            raise TinysaeError("activations_not_finite", hook=self.config.hook_name)
        scale = math.sqrt(self._sae.cfg.d_in) / mean_norm
        self._trainer.activation_scaler.scaling_factor = scale

    def run(self, progress: Callable[[int, StepMetrics | None], bool]) -> bool:
        """Trains to the end, or until `progress` returns False.

        `progress` hears, after every step, of the tokens so far and, every few steps,
        of the step's metrics. The result says whether it went to the end.

        Raises:
            TinysaeError: as `step` does.
        """
        while not self.is_over:
            row = self.step(self.next_batch())
            if not progress(self._trainer.n_training_samples, row):
                return False
        return True

    @property
    def is_over(self) -> bool:
        """Whether all steps are taken."""
        return self.n_steps >= self.config.total_training_steps

    def next_batch(self) -> "Tensor":
        """What the next step is taken on, [train_batch_size_tokens, d_in]."""
        return next(self.batches)

    def follow(self, leader: "SAETraining") -> None:
        """From now on takes its steps on the batches of `leader`, and has its norm: two
        whose settings give one stream, as many batches on, need to read it only once.
        """
        self.batches.close()
        self.batches = leader.batches
        scale = leader._trainer.activation_scaler.scaling_factor
        self._trainer.activation_scaler.scaling_factor = scale

    @cached_property
    def _stepper(self) -> "SparseStep | SAELensStep":
        return make_step(self._trainer, self.engine)

    def step(self, batch: "Tensor") -> StepMetrics | None:
        """Takes one step on `batch`; gives its metrics, every few steps.

        Raises:
            TinysaeError: the training diverged: the loss is no longer a number, or the
                error is far above its best.
        """
        trainer, total = self._trainer, self.config.total_training_steps
        if window := trainer.maybe_reset_sparsity():
            self.tracker.log(window, trainer.n_training_steps)
        lr = trainer.optimizer.param_groups[0]["lr"]
        stepper, started = self._stepper, time.perf_counter()
        result = stepper.step(batch)
        self._took.append(time.perf_counter() - started)
        step = trainer.n_training_steps
        if self.tracker.wants(step):
            self.tracker.log(step_log(trainer, result), step)
        trainer.n_training_steps += 1
        self._raise_if_diverged(result, step)
        self._steer(result, step, lr)
        every = min(max(1, total // ROWS_PER_RUN), MAX_STEPS_A_ROW)
        if step % every and not self.is_over:
            return None
        self.step_seconds = median(self._took)
        self._took.clear()
        return row_of(trainer, result, step, lr)

    def held_out_text(self, contexts: Sequence[NDArray[np.int32]]) -> HeldOutText:
        """Held-out `contexts`, each [context_size], to `look` at the SAE on."""
        config = self.config
        return HeldOutText(
            self.model, config.hook_name, contexts, config.store_batch_size_prompts
        )

    def look(self, text: HeldOutText) -> EvalMetrics:
        """The SAE as it is now."""
        return text.look(self._trainer)

    def _raise_if_diverged(self, result: StepResult, step: int) -> None:
        mse = result.losses["mse_loss"]
        if self._watch.has_diverged(result.loss, mse, result.variance):
            # The largest step size that a person would try next.
            values = {"step": step, "lr": self.config.lr, "better": self.config.lr / 5}
            if not math.isfinite(mse):
                raise TinysaeError("diverged", **values)
            raise TinysaeError(
                "diverged_far", times=round(self._watch.times_best), **values
            )

    @property
    def settled_coefficient(self) -> float | None:
        """Where steering has brought the coefficient; None where there is none."""
        return self._control and self._control.coefficient

    def _steer(self, result: StepResult, step: int, lr: float) -> None:
        if self._control is not None:
            self._control.hear(step, result.l0(), lr)
            self._control.steer(self._trainer)

    def save(self, folder: Path) -> None:
        """Writes SAELens's final files into `folder`; training can go on after this.

        Raises:
            OSError: the folder cannot be written.
        """
        save_sae(self._trainer, self.runner_config, folder)


def fuse_adam(optimizer: Any) -> None:
    """Lets a GPU take the whole of Adam's step at once; before the first."""
    for group in optimizer.param_groups:
        group.update(fused=True, foreach=False)
