"""Our training of an SAE held against SAELens's own, on the embedded model.

Some seeds, alternated in one process: `tinysae.sae.train.SAETraining`, driven as a
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
- saelens_time_over_ours: the median of the seeds' ratios of wall time (beside it the
  least, and that of CPU time), from building the SAE to its files, the norm's phase
  included. Imports, the loading of models and
  the tokenizing for SAELens are not;
- eval_gap_to_run_evals: the largest relative gap between our evaluation and
  `sae_lens.evals.run_evals`, with SAELens's own model on the same tokens, of
  ce_loss_score, kl_div_score, l0, explained_variance and mse, for the first SAE;
- loss_gap_50_steps: the largest relative gap of any loss that both log, over 50 steps
  and all architectures, between ours and `SAETrainer.fit` from the same weights on the
  same batches; of the latter in float32 and in float64 the nearer one, since a feature
  may be chosen in one that is not in the other; loss_gap_50_steps_of_saelens: between
  those two.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).parents[1]))

import datasets
import numpy as np
import torch
from sae_lens import LanguageModelSAETrainingRunner
from sae_lens.config import LoggingConfig
from transformer_lens import HookedTransformer

from benchmarks.common import N_CORES, measuring, options, print_last, timed
from benchmarks.saelens_side import runner_config, saelens_model
from benchmarks.same_as_saelens import activations_gap, eval_gap, held_out, loss_gaps
from tinysae.config import TrainConfig
from tinysae.data.corpus import token_chunks
from tinysae.model.sources import LoadedModel, load_model
from tinysae.runs.metrics import MetricsLog
from tinysae.sae.evaluate import Evaluation
from tinysae.sae.load import load_sae
from tinysae.sae.rows import EvalMetrics, StepMetrics
from tinysae.sae.train import SAETraining
from tinysae.worker.finish import evaluated
from tinysae.worker.held_out import HeldOut
from tinysae.worker.look import LOOK_CONTEXTS, LOOKS_PER_RUN

SOURCES = [
    "benchmarks/training_quality.py",
    "benchmarks/same_as_saelens.py",
    "tinysae/sae/*.py",
    "tinysae/sae/step/*.py",
    "tinysae/data/activations.py",
    "tinysae/data/corpus.py",
]
ACTIVATIONS_GAP = 1e-5
"""Largest difference to SAELens's model that still counts as the same activations, in
parts of their length. An absolute bound of 1e-4 is 7 units in the last place of an
activation of 200: two correct forwards in float32 are further apart. A wrong model is
thousands of times further: another epsilon of LayerNorm (1e-3) gives 2e-2."""


@dataclass(frozen=True)
class Trained:
    """One training: what it took, and how good its saved SAE is."""

    wall_s: float
    cpu_s: float
    found: Evaluation


def main() -> int:
    parser = argparse.ArgumentParser(description="Our training against SAELens's.")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of one training")
    parser.add_argument("--seeds", type=int, default=3, help="how many of them")
    asked, variant = options(parser)
    torch.set_num_threads(N_CORES)
    with measuring("training_quality", SOURCES, variant=variant) as figures:
        figures |= measured(asked.tokens, range(asked.seeds))
    print_last(figures)
    return 0


def measured(tokens: int, seeds: Sequence[int]) -> dict[str, float]:
    """The figures of the module's docstring; prints the tables."""
    model, reference = load_model("storybook"), saelens_model()
    gap = activations_gap(model, reference)
    print(f"largest relative difference of activations to SAELens's model: {gap:.1e}\n")
    if gap > ACTIVATIONS_GAP:
        raise RuntimeError("the two models are not the same")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        figures = trainings(model, reference, tokens, seeds, folder)
        figures |= eval_gap(model, reference, folder / f"ours-{seeds[0]}")
    return figures | loss_gaps(model)


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


def trainings(
    model: LoadedModel,
    reference: HookedTransformer,
    tokens: int,
    seeds: Sequence[int],
    folder: Path,
) -> dict[str, float]:
    """Trains and measures every seed both ways; prints their table."""
    config = training_config(tokens, seeds[0])
    print(
        f"{config.architecture}, {config.d_sae:,} features, l1_coefficient "
        f"{config.l1_coefficient:g}, {config.training_tokens:,} tokens, "
        f"{N_CORES} threads\n"
        "seed  who      CE rec.      CE     L0  expl. v.   dead  wall s   CPU s"
    )
    pairs: list[tuple[Trained, Trained]] = []
    for turn, seed in enumerate(seeds):
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
            took = timed(partial(kinds[who], out))
            found = evaluated(load_sae(out), model, HeldOut.of(config))
            done[who] = Trained(*took, found)
            print(
                f"{seed:>4}  {who:<7}  {found.ce_loss_score:>7.4f}  "
                f"{found.ce_loss_sae:>6.4f}  {found.l0:>5.2f}  "
                f"{found.explained_variance:>8.4f}  {found.dead_share:>5.1%}  "
                f"{took.wall:>6.1f}  {took.cpu:>6.1f}",
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
        "saelens_time_over_ours_least": round(
            min(theirs.wall_s / ours.wall_s for ours, theirs in pairs), 3
        ),
        "saelens_cpu_over_ours": round(cpu, 3),
        "tokens": config.training_tokens,
        "seeds": len(seeds),
    }


def train_ours(config: TrainConfig, model: LoadedModel, out: Path) -> None:
    """Trains into `out` and logs what a run's worker logs."""
    out.mkdir()
    training = SAETraining(config, model)
    text = training.held_out_text(held_out(model, LOOK_CONTEXTS))
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
                looks.append(training.look(text))
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


if __name__ == "__main__":
    sys.exit(main())
