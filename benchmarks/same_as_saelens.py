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
    """How far our losses are from SAELens's own steps, in float32 or in float64: from
    the nearer of the two, in the architecture where that is furthest, and these two
    from one another. Prints each.

    Which feature is among the k largest, or over its threshold, may fall otherwise in
    float64, and a training goes another way from there: then either is right.
    """
    heads = "ours: to float32    to float64   SAELens's two"
    print(f"\n{LOSS_STEPS} steps of         {heads}")
    gaps: list[tuple[float, float, float]] = []
    for name in choices("architecture"):
        config = small_training(cast("Architecture", name))
        ours = our_losses(model, config)
        single = saelens_losses(model, config, torch.float32)
        double = saelens_losses(model, config, torch.float64)
        pairs = ((ours, single), (ours, double), (single, double))
        to_single, to_double, between = (largest_gap(*pair) for pair in pairs)
        gaps.append((to_single, to_double, between))
        print(f"{name:<20}" + "".join(f"  {gap:>14.1e}" for gap in gaps[-1]))
    return {
        "loss_gap_50_steps": max(min(gap[:2]) for gap in gaps),
        "loss_gap_50_steps_of_saelens": max(between for *_, between in gaps),
    }


def small_training(architecture: Architecture) -> TrainConfig:
    return TrainConfig(
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


Losses = list[dict[str, float]]


def our_losses(model: LoadedModel, config: TrainConfig) -> Losses:
    """Those of every step, by our names."""
    rows: list[StepMetrics] = []
    training = SAETraining(config, model)
    training.estimate_norm(lambda _: True)
    training.run(lambda _, row: rows.append(row) or True if row is not None else True)
    found = [cast("dict[str, float]", row) for row in rows]
    return [{name: row[name] for name in LOSSES if name in row} for row in found]


def saelens_losses(
    model: LoadedModel, config: TrainConfig, dtype: torch.dtype
) -> Losses:
    """Those of SAELens's trainer on the same activations, its parameters and sums being
    of `dtype`; by our names."""
    logged: list[dict[str, Any]] = []
    logger = LoggingConfig(wandb_log_frequency=1, eval_every_n_wandb_logs=10**9)
    d_in = model.hook_widths[config.hook_name]
    torch.manual_seed(config.seed)
    sae = build_training_sae(config, d_in, "cpu").to(dtype)
    batches: Any = (batch.to(dtype) for batch in TrainingBatches(config, model))
    trainer: Any = sae_trainer.SAETrainer(
        runner_config(config, d_in, logger).to_sae_trainer_config(), sae, batches
    )
    with mock.patch.object(
        sae_trainer.wandb, "log", lambda entry, **_: logged.append(entry)
    ):
        trainer.fit()
    return [
        {name: entry[key] for name, key in LOSSES.items() if key in entry}
        for entry in logged
        if LOSSES["loss"] in entry
    ]


def largest_gap(losses: Losses, expected: Losses) -> float:
    """The largest relative gap of a loss that both have, at any step."""
    if not len(losses) == len(expected) == LOSS_STEPS:
        raise RuntimeError(f"{len(losses)} steps against {len(expected)}")
    return max(
        relative_gap(ours[name], theirs[name])
        for ours, theirs in zip(losses, expected, strict=True)
        for name in ours.keys() & theirs.keys()
    )


def relative_gap(value: float, expected: float) -> float:
    return 0.0 if value == expected else abs(value - expected) / abs(expected)
