"""Whether our activations, evaluation and losses are SAELens's own."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from sae_lens import SAE
from sae_lens.config import LoggingConfig
from sae_lens.evals import get_eval_everything_config, run_evals
from sae_lens.training import sae_trainer
from sae_lens.training.activation_scaler import ActivationScaler
from transformer_lens import HookedTransformer

from benchmarks.saelens_side import runner_config
from tinysae.config import Architecture, TrainConfig, choices
from tinysae.data.corpus import batched, token_chunks
from tinysae.model.forward import activations
from tinysae.model.sources import LoadedModel
from tinysae.sae.architectures import build_training_sae
from tinysae.sae.evaluate import evaluate
from tinysae.sae.load import load_sae
from tinysae.sae.rows import StepMetrics
from tinysae.sae.train import SAETraining, TrainingBatches
from tinysae.worker.finish import CONTEXTS_AT_ONCE
from tinysae.worker.held_out import EVALUATION_SEED

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


def activations_gap(model: LoadedModel, reference: HookedTransformer) -> float:
    """How far a token's activations are from SAELens's at most, over their length.

    In parts of the length, as float32 errs in proportion to what it adds up: here the
    activations are up to 200 and 90 long, and either model is 2e-6 off float64's.
    """
    hook = TrainConfig.hook_name
    tokens = torch.from_numpy(np.stack(held_out(model, CONTEXTS_AT_ONCE))).long()
    with torch.no_grad():
        _, cache = reference.run_with_cache(tokens, names_filter=[hook])
    theirs = cache[hook]
    apart = (activations(model, tokens, hook) - theirs).norm(dim=-1)
    return (apart / theirs.norm(dim=-1)).max().item()


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
