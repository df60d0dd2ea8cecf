"""Training an SAE: SAELens's trainer, driven so that it can be watched.

`sae_lens.SAETrainer.fit` logs to wandb only and cannot be stopped without losing the
weights. Here its steps are taken one by one, by `sae.step.pairs`: with SAELens's
losses, on SAELens's objects, mostly without its dense products.
"""

import copy
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.config import TrainConfig
from tinysae.data.activations import activation_batches, shuffled
from tinysae.data.corpus import batched, token_chunks
from tinysae.errors import SettingError, TinysaeError
from tinysae.runs.metrics import DENSITY_EDGES, EvalMetrics, StepMetrics
from tinysae.runs.tracking import NullTracker, Tracker
from tinysae.sae.architectures import build_training_sae, fold_activation_norm
from tinysae.sae.divergence import DivergenceWatch
from tinysae.sae.evaluate import evaluate
from tinysae.sae.load import RUNNER_CFG_NAME, SPARSITY_NAME
from tinysae.sae.step.engine import (
    EngineChoice,
    choose_engine,
    make_step,
    numba_problem,
)
from tinysae.sae.step.pairs import StepResult, dense_step_seconds
from tinysae.sae.step_log import step_log
from tinysae.sae.training_state import load_checkpoint, write_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel

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
        model: whose activations.
        engine: what the run's earlier steps were computed by, if there were any.

    Raises:
        SettingError: the model has no such hook, or not that context size.
        MissingError: no such text, or the device is not there.
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
        device = resolve_device(config.device)
        # SAELens's own code never uses its seed; weights and shuffling follow this one.
        torch.manual_seed(config.seed)
        d_in = model.hook_widths[config.hook_name]
        self._sae = build_training_sae(config, d_in, device)
        self._runner = _runner_config(config, self._sae)
        self.model = model
        self._batches = TrainingBatches(config, model)
        self._watch = DivergenceWatch()
        self._trainer: Any = SAETrainer(
            self._runner.to_sae_trainer_config(),
            self._sae,
            self._batches,
        )
        self.tracker: Tracker = NullTracker()
        """Where SAELens would log to."""
        self.step_seconds = 0.0
        """What a step took, without the making of its batch: the median since the row
        before the last."""
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
        logger.info("%s", ", ".join(filter(None, choice)))
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
        write_checkpoint(self._trainer, self._batches.n_read, folder)

    def resume(self, folder: Path) -> None:
        """Goes on from where `save_checkpoint` was called: the same numbers, bit for
        bit, as without the interruption (same machine, same number of threads).

        Raises:
            DamagedError: the checkpoint cannot be read or belongs to other settings.
        """
        n_read = load_checkpoint(self._trainer, folder)
        self._batches.close()
        self._batches = TrainingBatches(self.config, self.model, start=n_read)

    def close(self) -> None:
        """Stops the reading ahead, when the training is over."""
        self._batches.close()

    def estimate_norm(self, progress: Callable[[int], bool]) -> bool:
        """Measures the scale that makes the activations' mean norm sqrt(d_in).

        The batches it is measured on are not trained on. `progress` hears how many are
        done and stops by returning False; the result says whether it went to the end.
        """
        norms: list[float] = []
        for batch in self._batches:
            norms.append(batch.norm(dim=-1).mean().item())
            if not progress(len(norms)):
                return False
            if len(norms) == self.config.n_batches_for_norm_estimate:
                break
        mean_norm = sum(norms) / len(norms)
        if not math.isfinite(mean_norm) or mean_norm == 0:
            raise TinysaeError("activations_not_finite", hook=self.config.hook_name)
        scale = math.sqrt(self._sae.cfg.d_in) / mean_norm
        self._trainer.activation_scaler.scaling_factor = scale
        return True

    def run(self, progress: Callable[[int, StepMetrics | None], bool]) -> bool:
        """Trains to the end, or until `progress` returns False.

        `progress` hears, after every step, of the tokens so far and, every few steps,
        of the step's metrics. The result says whether it went to the end.

        Raises:
            TinysaeError: the training diverged: the loss is no longer a number, or the
                error is far above its best.
        """
        trainer, total = self._trainer, self.config.total_training_steps
        every = min(max(1, total // ROWS_PER_RUN), MAX_STEPS_A_ROW)
        stepper = make_step(trainer, self.engine)
        took: list[float] = []
        while trainer.n_training_steps < total:
            if window := trainer.maybe_reset_sparsity():
                self.tracker.log(window, trainer.n_training_steps)
            lr = trainer.optimizer.param_groups[0]["lr"]
            batch, started = next(self._batches), time.perf_counter()
            result = stepper.step(batch)
            took.append(time.perf_counter() - started)
            step = trainer.n_training_steps
            if self.tracker.wants(step):
                self.tracker.log(step_log(trainer, result), step)
            trainer.n_training_steps += 1
            self._raise_if_diverged(result, step)
            is_row = step % every == 0 or trainer.n_training_steps == total
            row = self._row(result, step, lr) if is_row else None
            if row is not None:
                self.step_seconds = median(took)
                took.clear()
            if not progress(trainer.n_training_samples, row):
                return False
        return True

    def look(self, contexts: Sequence[NDArray[np.int32]]) -> EvalMetrics:
        """The SAE as it is now, on held-out `contexts`, each [context_size].

        As in SAELens's own evaluations while training, batchtopk keeps the k largest of
        this batch; once saved it has a threshold instead.
        """
        trainer = self._trainer
        trainer.sae.eval()
        found = evaluate(
            _InTraining(trainer, self.config.hook_name),
            self.model,
            batched(contexts, self.config.store_batch_size_prompts),
            n_ce_batches=len(contexts),
        )
        trainer.sae.train()
        return {
            "step": self.n_steps,
            "n_tokens": trainer.n_training_samples,
            "ce_loss_score": found.ce_loss_score,
            "explained_variance": found.explained_variance,
            "l0": found.l0,
            "density": self._density(),
        }

    def _firing_rates(self) -> "Tensor":
        """Share of tokens [d_sae] on which each feature fired in the current window."""
        trainer = self._trainer
        return trainer.act_freq_scores / max(1, trainer.n_frac_active_samples)

    def _density(self) -> list[int]:
        import torch

        rates = self._firing_rates()
        fired = rates[rates > 0].log10().clamp(DENSITY_EDGES[0], DENSITY_EDGES[-1])
        edges = torch.tensor(DENSITY_EDGES)
        counts = torch.histogram(fired.float().cpu(), edges).hist.int().tolist()
        return [int((rates == 0).sum()), *counts]

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

    def _row(self, result: StepResult, step: int, lr: float) -> StepMetrics:
        trainer, losses = self._trainer, result.losses
        row: StepMetrics = {
            "step": step,
            "n_tokens": trainer.n_training_samples,
            "mse": losses["mse_loss"],
            # Architectures without that penalty show what it would penalise.
            "l1": losses["l1_loss"] if "l1_loss" in losses else result.l1(),
            "loss": result.loss,
            "l0": result.l0(),
            "explained_variance": result.explained_variance(),
            "n_dead": int(trainer.dead_neurons.sum()),
            "lr": lr,
        }
        # Not for the architectures that penalise nothing.
        for scheduler in trainer.coefficient_schedulers.values():
            row["coefficient"] = scheduler.value
        return row

    def save(self, folder: Path) -> None:
        """Writes SAELens's final files into `folder`; training can go on after this.

        Raises:
            OSError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        trainer = self._trainer
        # Folding changes the weights: done on a copy, the training stays as it is.
        trainer.sae, training = copy.deepcopy(trainer.sae), trainer.sae
        try:
            sae, scale = trainer.sae, trainer.activation_scaler.scaling_factor
            # Ours lies in memory by feature, which safetensors does not write.
            sae.W_enc.data = sae.W_enc.data.contiguous()
            if scale is not None:
                fold_activation_norm(sae, scale)
            sae.cfg.normalize_activations = "none"
            runner = self._runner.to_dict()
            for name in _METADATA:
                setattr(sae.cfg.metadata, name, runner[name])
            trainer.set_final_sae_metadata()
            sae.save_inference_model(folder)
        finally:
            trainer.sae = training
        # log10 with SAELens's epsilon, so that its own tools read the file.
        save_file(
            {"sparsity": (self._firing_rates() + 1e-10).log10().cpu().contiguous()},
            folder / SPARSITY_NAME,
        )
        (folder / RUNNER_CFG_NAME).write_text(json.dumps(runner))


class _InTraining:
    """The SAE in the middle of its training, as an evaluation sees an SAE."""

    def __init__(self, trainer: Any, hook_name: str) -> None:
        self._sae, self.hook_name = trainer.sae, hook_name
        self._scale = trainer.activation_scaler.scaling_factor or 1.0
        self.d_in, self.d_sae = trainer.sae.cfg.d_in, trainer.sae.cfg.d_sae

    def encode(self, x: "Tensor") -> "Tensor":
        return self._sae.encode(x * self._scale)

    def decode(self, acts: "Tensor") -> "Tensor":
        return self._sae.decode(acts) / self._scale


def resolve_device(name: str) -> str:
    """The torch device for a setting: auto is cuda if there, else mps, else cpu.

    Raises:
        SettingError: a device that this machine does not have.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        found = ", ".join(device for device, is_there in there.items() if is_there)
        raise SettingError("setting_choice", field="device", value=name, choices=found)
    return name


class TrainingBatches:
    """Shuffled batches of shape [train_batch_size_tokens, d_in], counted."""

    def __init__(
        self, config: TrainConfig, model: "LoadedModel", start: int = 0
    ) -> None:
        self.n_read = start
        self._config, self._model = config, model
        self._batches = shuffled(
            self._parts_from,
            rows_a_part=config.store_batch_size_prompts * config.context_size,
            batch_size=config.train_batch_size_tokens,
            n_batches_in_buffer=config.n_batches_in_buffer,
            seed=config.seed,
            start=start,
        )

    def __iter__(self) -> Iterator["Tensor"]:
        return self

    def __next__(self) -> "Tensor":
        import torch

        self.n_read += 1
        # SAELens casts them only in some architectures: a gated SAE in bfloat16 fails.
        return next(self._batches).to(getattr(torch, self._config.dtype))

    def close(self) -> None:
        """Stops the reading ahead; there are no more batches after this."""
        self._batches.close()

    def _parts_from(self, part: int) -> Iterator["Tensor"]:
        config, model = self._config, self._model
        contexts = token_chunks(
            model,
            config.text,
            config.context_size,
            seed=config.seed,
            start=part * config.store_batch_size_prompts,
        )
        return activation_batches(
            model,
            contexts,
            config.hook_name,
            config.store_batch_size_prompts,
            exclude_special_tokens=config.exclude_special_tokens,
        )


# What SAELens's runner copies from its config into the SAE's metadata.
_METADATA = (
    "dataset_path",
    "hook_name",
    "model_name",
    "model_class_name",
    "hook_head_index",
    "context_size",
    "seqpos_slice",
    "prepend_bos",
    "exclude_special_tokens",
    "sequence_separator_token",
    "disable_concat_sequences",
)


def _runner_config(config: TrainConfig, sae: Any) -> Any:
    """The same run as SAELens's own runner would be told it."""
    from sae_lens.config import LanguageModelSAERunnerConfig, LoggingConfig

    return LanguageModelSAERunnerConfig(
        sae=sae.cfg,
        model_name=config.model_name,
        hook_name=config.hook_name,
        dataset_path=config.dataset_path,
        is_dataset_tokenized=config.is_dataset_tokenized,
        streaming=config.streaming,
        context_size=config.context_size,
        exclude_special_tokens=config.exclude_special_tokens,
        n_batches_in_buffer=config.n_batches_in_buffer,
        training_tokens=config.training_tokens,
        store_batch_size_prompts=config.store_batch_size_prompts,
        train_batch_size_tokens=config.train_batch_size_tokens,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        lr=config.lr,
        lr_scheduler_name=config.lr_scheduler_name,
        lr_end=config.lr_end or None,
        n_restart_cycles=config.n_restart_cycles,
        lr_warm_up_steps=config.lr_warm_up_steps,
        lr_decay_steps=config.lr_decay_steps,
        dead_feature_window=config.dead_feature_window,
        feature_sampling_window=config.feature_sampling_window,
        n_batches_for_norm_estimate=config.n_batches_for_norm_estimate,
        n_checkpoints=config.n_checkpoints,
        seed=config.seed,
        dtype=config.dtype,
        device=str(sae.cfg.device),
        checkpoint_path=None,
        output_path=None,
        verbose=False,
        logger=LoggingConfig(log_to_wandb=False),
    )
