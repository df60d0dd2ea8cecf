"""Our training of an SAE held against SAELens's own, on the embedded model.

Three seeds, alternated in one process: `tinysae.sae.train.SAETraining`, driven as a
run's worker drives it (rows and looks at held-out text included), and SAELens's
`LanguageModelSAETrainingRunner` without wandb and checkpoints. Both have the same
settings, initial weights, number of threads and contexts (BOS first, in one order).
SAELens has a `HookedTransformer` of its own, whose activations are held against ours
first, and gets its contexts tokenized; ours tells and tokenizes stories in its time.
Each shuffles in its own way. SAELens counts its buffer in contexts and we in batches:
both get as many tokens.

Prints a table and, as its last line, one JSON object:

- ce_recovered_minus_saelens: CE loss recovered, the mean of ours less the mean of
  theirs. Each seed's two saved directories are read and measured by the same code on
  the same 200k held-out tokens; see `tinysae.sae.evaluate` for the formulas;
- l0_over_saelens: L0 likewise, the mean of the seeds' ratios;
- saelens_time_over_ours: the median of the seeds' ratios of wall time, from building
  the SAE to its files, the norm's phase included. Imports, the loading of models and
  the tokenizing for SAELens are not;
- eval_gap_to_run_evals: the largest relative gap between our evaluation and
  `sae_lens.evals.run_evals`, with SAELens's own model on the same tokens, of
  ce_loss_score, kl_div_score, l0, explained_variance and mse, for the first SAE;
- loss_gap_50_steps: the largest relative gap of any loss that both log, over 50 steps
  and all architectures, between ours and `SAETrainer.fit` from the same weights on the
  same batches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean, median
from typing import Any, cast
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from sae_lens import SAE, LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner
from sae_lens.config import LoggingConfig
from sae_lens.evals import get_eval_everything_config, run_evals
from sae_lens.training import sae_trainer
from sae_lens.training.activation_scaler import ActivationScaler
from transformer_lens import HookedTransformer
from transformer_lens.loading_from_pretrained import (
    get_pretrained_model_config,
    get_pretrained_state_dict,
)

from tinysae.config import Architecture, TrainConfig, choices
from tinysae.data.corpus import batched, token_chunks
from tinysae.model.forward import activations
from tinysae.model.sources import STORYBOOK_DIR, LoadedModel, load_model
from tinysae.runs.metrics import EvalMetrics, MetricsLog, StepMetrics
from tinysae.sae.architectures import build_training_sae
from tinysae.sae.evaluate import Evaluation, evaluate
from tinysae.sae.load import load_sae
from tinysae.sae.train import SAETraining, TrainingBatches
from tinysae.worker.finish import CONTEXTS_AT_ONCE, evaluated
from tinysae.worker.held_out import EVALUATION_SEED, HeldOut
from tinysae.worker.look import LOOK_CONTEXTS, LOOKS_PER_RUN

SEEDS = (0, 1, 2)
N_THREADS = os.cpu_count() or 1
ACTIVATIONS_GAP = 1e-4
"""Largest difference to SAELens's model that still counts as the same activations."""
EVAL_BATCHES = 8
# As both call them.
EVALUATED = ("ce_loss_score", "kl_div_score", "l0", "explained_variance", "mse")
LOSS_STEPS = 50
# Our name of a loss and SAELens's, which logs the ones that the architecture has.
LOSSES = {
    "mse": "losses/mse_loss",
    "l1": "losses/l1_loss",
    "loss": "losses/overall_loss",
}


@dataclass(frozen=True)
class Trained:
    """One training: what it took, and how good its saved SAE is."""

    wall_s: float
    cpu_s: float
    found: Evaluation


def main() -> int:
    parser = argparse.ArgumentParser(description="Our training against SAELens's.")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of one training")
    tokens = parser.parse_args().tokens
    torch.set_num_threads(N_THREADS)
    model, reference = load_model("storybook"), saelens_model()
    print(f"load before: {os.getloadavg()[0]:.1f} on {N_THREADS} cores")
    gap = activations_gap(model, reference)
    print(f"largest difference of activations to SAELens's model: {gap:.1e}\n")
    if gap > ACTIVATIONS_GAP:
        raise RuntimeError("the two models are not the same")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        figures = trainings(model, reference, tokens, folder)
        figures |= eval_gap(model, reference, folder / f"ours-{SEEDS[0]}")
    figures |= loss_gaps(model)
    print(f"\nload after: {os.getloadavg()[0]:.1f}")
    print(json.dumps(figures))
    return 0


def training_config(tokens: int, seed: int) -> TrainConfig:
    """A standard SAE as SAELens advises it, at the default preset's learning rate."""
    steps = tokens // TrainConfig.train_batch_size_tokens
    return TrainConfig(
        architecture="standard",
        d_sae=2048,
        # SAELens takes one more step for what is left over of a batch; nothing is.
        training_tokens=steps * TrainConfig.train_batch_size_tokens,
        l1_coefficient=5.0,
        l1_warm_up_steps=steps // 20,
        lr_decay_steps=steps // 5,
        seed=seed,
    )


def saelens_model(path: str = str(STORYBOOK_DIR)) -> HookedTransformer:
    """A model on disk as SAELens would load it by name: weights unprocessed."""
    config = get_pretrained_model_config(path, device="cpu")
    model = HookedTransformer(config)
    model.load_and_process_state_dict(
        get_pretrained_state_dict(path, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return model.eval()


def activations_gap(model: LoadedModel, reference: HookedTransformer) -> float:
    """The largest absolute difference between the two models' activations."""
    hook = TrainConfig.hook_name
    tokens = torch.from_numpy(np.stack(held_out(model, CONTEXTS_AT_ONCE))).long()
    with torch.no_grad():
        _, cache = reference.run_with_cache(tokens, names_filter=[hook])
    return (activations(model, tokens, hook) - cache[hook]).abs().max().item()


def held_out(model: LoadedModel, n: int) -> list[NDArray[np.int32]]:
    """`n` contexts that nobody trains on, from those that every SAE is measured on."""
    config = TrainConfig()
    chunks = token_chunks(
        model,
        config.text,
        config.context_size,
        seed=EVALUATION_SEED,
        held_out=True,
    )
    return list(islice(chunks, n))


def trainings(
    model: LoadedModel, reference: HookedTransformer, tokens: int, folder: Path
) -> dict[str, float]:
    """Trains and measures every seed both ways; prints their table."""
    config = training_config(tokens, SEEDS[0])
    print(
        f"{config.architecture}, {config.d_sae:,} features, l1_coefficient "
        f"{config.l1_coefficient:g}, {config.training_tokens:,} tokens, "
        f"{N_THREADS} threads\n"
        "seed  who      CE rec.      CE     L0  expl. v.   dead  wall s   CPU s"
    )
    pairs: list[tuple[Trained, Trained]] = []
    for turn, seed in enumerate(SEEDS):
        config = training_config(tokens, seed)
        dataset = tokenized(model, config)
        kinds: dict[str, Callable[[Path], object]] = {
            "ours": partial(train_ours, config, model),
            "SAELens": partial(train_theirs, config, reference, dataset),
        }
        done: dict[str, Trained] = {}
        # Whoever comes first may find the machine in another state.
        for who in kinds if turn % 2 == 0 else reversed(kinds):
            out = folder / f"{who}-{seed}"
            wall_s, cpu_s = timed(partial(kinds[who], out))
            found = evaluated(load_sae(out), model, HeldOut.of(config))
            done[who] = Trained(wall_s, cpu_s, found)
            print(
                f"{seed:>4}  {who:<7}  {found.ce_loss_score:>7.4f}  "
                f"{found.ce_loss_sae:>6.4f}  {found.l0:>5.2f}  "
                f"{found.explained_variance:>8.4f}  {found.dead_share:>5.1%}  "
                f"{wall_s:>6.1f}  {cpu_s:>6.1f}",
                flush=True,
            )
        pairs.append((done["ours"], done["SAELens"]))
    recovered = mean(
        ours.found.ce_loss_score - theirs.found.ce_loss_score for ours, theirs in pairs
    )
    l0 = mean(ours.found.l0 / theirs.found.l0 for ours, theirs in pairs)
    wall = median(theirs.wall_s / ours.wall_s for ours, theirs in pairs)
    cpu = median(theirs.cpu_s / ours.cpu_s for ours, theirs in pairs)
    print(f"SAELens's time over ours: {wall:.3f} by the wall, {cpu:.3f} of the CPU")
    return {
        "ce_recovered_minus_saelens": round(recovered, 5),
        "l0_over_saelens": round(l0, 4),
        "saelens_time_over_ours": round(wall, 3),
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that `work` takes by the wall and of this process's CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def train_ours(config: TrainConfig, model: LoadedModel, out: Path) -> None:
    """Trains into `out` and logs what a run's worker logs."""
    out.mkdir()
    training = SAETraining(config, model)
    contexts = held_out(model, LOOK_CONTEXTS)
    a_look = max(1, config.total_training_steps // LOOKS_PER_RUN)
    training.estimate_norm(lambda _: True)
    with (
        MetricsLog[StepMetrics](out / "metrics.jsonl") as rows,
        MetricsLog[EvalMetrics](out / "evals.jsonl") as looks,
    ):

        def progress(_: int, row: StepMetrics | None) -> bool:
            if row is not None:
                rows.append(row)
            if training.n_steps % a_look == 0:
                looks.append(training.look(contexts))
            return True

        training.run(progress)
    training.save(out)


def train_theirs(
    config: TrainConfig,
    reference: HookedTransformer,
    dataset: datasets.Dataset,
    out: Path,
) -> None:
    """Trains into `out` with SAELens's runner, which has no seed of its own."""
    torch.manual_seed(config.seed)
    LanguageModelSAETrainingRunner(
        runner_config(config, reference.cfg.d_model, LoggingConfig(False), out),
        override_dataset=dataset,
        override_model=reference,
    ).run()


def tokenized(model: LoadedModel, config: TrainConfig) -> datasets.Dataset:
    """All contexts that a training reads, in our order."""
    batches = (
        config.n_batches_for_norm_estimate
        + config.total_training_steps
        + 2 * config.n_batches_in_buffer
    )
    contexts = token_chunks(model, config.text, config.context_size, seed=config.seed)
    n_contexts = batches * config.train_batch_size_tokens // config.context_size
    rows = np.stack(list(islice(contexts, n_contexts)))
    return datasets.Dataset.from_dict({"input_ids": rows})


def runner_config(
    config: TrainConfig, d_in: int, logger: LoggingConfig, out: Path | None = None
) -> LanguageModelSAERunnerConfig[Any]:
    """The same settings for SAELens, which counts its buffer in contexts."""
    batch, context = config.train_batch_size_tokens, config.context_size
    state = torch.get_rng_state()
    sae = build_training_sae(config, d_in, "cpu").cfg
    torch.set_rng_state(state)
    return LanguageModelSAERunnerConfig(
        sae=sae,
        model_name=config.model_name,
        hook_name=config.hook_name,
        dataset_path=config.dataset_path,
        context_size=context,
        n_batches_in_buffer=config.n_batches_in_buffer * batch // context,
        training_tokens=config.training_tokens,
        store_batch_size_prompts=config.store_batch_size_prompts,
        train_batch_size_tokens=batch,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        lr=config.lr,
        lr_warm_up_steps=config.lr_warm_up_steps,
        lr_decay_steps=config.lr_decay_steps,
        dead_feature_window=config.dead_feature_window,
        feature_sampling_window=config.feature_sampling_window,
        n_batches_for_norm_estimate=config.n_batches_for_norm_estimate,
        checkpoint_path=None,
        output_path=None if out is None else str(out),
        verbose=False,
        logger=logger,
    )


def eval_gap(
    model: LoadedModel, reference: HookedTransformer, folder: Path
) -> dict[str, float]:
    """Our evaluation of the SAE in `folder` against SAELens's; prints both."""
    contexts = held_out(model, EVAL_BATCHES * CONTEXTS_AT_ONCE)
    batches = list(batched(contexts, CONTEXTS_AT_ONCE))
    ours = evaluate(load_sae(folder), model, batches, n_ce_batches=EVAL_BATCHES)
    found, _ = run_evals(
        SAE.load_from_disk(folder),
        cast("Any", Batches(batches)),
        reference,
        ActivationScaler(),
        get_eval_everything_config(CONTEXTS_AT_ONCE, EVAL_BATCHES, EVAL_BATCHES),
        exclude_special_tokens=[model.bos_id],
    )
    theirs = {name: value for part in found.values() for name, value in part.items()}
    print(
        f"\nevaluation of {ours.n_tokens:,} tokens       ours      run_evals      gap"
    )
    gaps: list[float] = []
    for name in EVALUATED:
        value, expected = getattr(ours, name), theirs[name]
        gaps.append(relative_gap(value, expected))
        print(f"{name:<24}  {value:>13.8g}  {expected:>13.8g}  {gaps[-1]:.1e}")
    return {"eval_gap_to_run_evals": max(gaps)}


class Batches:
    """Batches of tokens as `run_evals` asks an activation store for them, twice."""

    context_size = TrainConfig.context_size
    store_batch_size_prompts = CONTEXTS_AT_ONCE

    def __init__(self, batches: list[NDArray[np.int32]]) -> None:
        self._batches = batches
        self.reset_input_dataset()

    def reset_input_dataset(self) -> None:
        self._left = iter(self._batches)

    def get_batch_tokens(self, _: int) -> torch.Tensor:
        return torch.from_numpy(next(self._left)).long()


def loss_gaps(model: LoadedModel) -> dict[str, float]:
    """The largest gap of a loss to SAELens's in any architecture; prints each."""
    print(f"\n{LOSS_STEPS} steps of            loss gap")
    gaps: list[float] = []
    for name in choices("architecture"):
        gaps.append(loss_gap(model, cast("Architecture", name)))
        print(f"{name:<20}  {gaps[-1]:>10.1e}")
    return {"loss_gap_50_steps": max(gaps)}


def loss_gap(model: LoadedModel, architecture: Architecture) -> float:
    """The largest relative gap of a loss at any step of a small training."""
    config = TrainConfig(
        architecture=architecture,
        d_sae=512,
        k=8,
        training_tokens=LOSS_STEPS * 512,
        train_batch_size_tokens=512,
        n_batches_in_buffer=8,
        n_batches_for_norm_estimate=4,
        store_batch_size_prompts=4,
        # Every schedule moves, and dead features get their help.
        l1_warm_up_steps=10,
        l0_warm_up_steps=10,
        lr_warm_up_steps=10,
        lr_decay_steps=10,
        dead_feature_window=5,
    )
    rows: list[StepMetrics] = []
    training = SAETraining(config, model)
    training.estimate_norm(lambda _: True)
    training.run(lambda _, row: rows.append(row) or True if row is not None else True)

    logged: list[dict[str, Any]] = []
    logger = LoggingConfig(wandb_log_frequency=1, eval_every_n_wandb_logs=10**9)
    d_in = model.hook_widths[config.hook_name]
    torch.manual_seed(config.seed)
    trainer: Any = sae_trainer.SAETrainer(
        runner_config(config, d_in, logger).to_sae_trainer_config(),
        build_training_sae(config, d_in, "cpu"),
        TrainingBatches(config, model),
    )
    with mock.patch.object(
        sae_trainer.wandb, "log", lambda entry, **_: logged.append(entry)
    ):
        trainer.fit()
    theirs = [entry for entry in logged if LOSSES["loss"] in entry]
    if not len(rows) == len(theirs) == LOSS_STEPS:
        raise RuntimeError(f"{len(rows)} rows against {len(theirs)} of SAELens's")
    return max(
        relative_gap(cast("dict[str, float]", row)[name], entry[key])
        for row, entry in zip(rows, theirs, strict=True)
        for name, key in LOSSES.items()
        if key in entry
    )


def relative_gap(value: float, expected: float) -> float:
    return 0.0 if value == expected else abs(value - expected) / abs(expected)


if __name__ == "__main__":
    sys.exit(main())
