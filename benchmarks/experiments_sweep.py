"""A sweep of eight L1 SAEs, against SAELens's two ways to train them.

One session on the embedded model: SAELens's runner eight times, its
`MultiSAETrainingRunner` once, our sweep once and, for the points' gap, our own runs one
by one. The same settings, initial weights, threads and contexts for all (tokenized
beforehand for SAELens, told and tokenized in its time by ours); wall time of whole
trainings, from building the SAEs to their files, the norm's phase, ours with rows,
looks at held-out text and checkpoints. Imports and the loading of models are not in it.

- sweep_over_saelens_runs: time of SAELens's eight runs over that of our sweep;
- sweep_over_saelens_multi: time of its MultiSAETrainingRunner over that of our sweep;
- sweep_over_own_runs: time of our eight runs one by one over that of our sweep;
- sweep_point_gap: the largest gap of a point to the same run of ours alone, of the CE
  with the SAE in place (in nats) or of L0 (relative), both on 200k held-out tokens.

SAELens's runs are measured, too, so that a reader sees that they learn the same.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import datasets
import torch
from sae_lens.config import LoggingConfig
from sae_lens.multi_sae_training_runner import (
    MultiSAETrainingRunner,
    MultiSAETrainingRunnerConfig,
)
from transformer_lens import HookedTransformer

from benchmarks.common import N_CORES, row, timed
from benchmarks.saelens_side import runner_config, saelens_model
from benchmarks.training_quality import tokenized, train_ours, train_theirs
from tinysae.config import TrainConfig
from tinysae.model.sources import LoadedModel, load_model
from tinysae.runs.axes import points_of
from tinysae.runs.side_by_side import side_by_side
from tinysae.runs.store import Run
from tinysae.runs.sweep import create_sweep
from tinysae.sae.architectures import build_training_sae
from tinysae.sae.evaluate import Evaluation
from tinysae.sae.load import load_sae
from tinysae.worker.finish import evaluated
from tinysae.worker.held_out import HeldOut
from tinysae.worker.party import Party, Progress
from tinysae.worker.points import Points

# As wide as the preset that one looks with, and around its usual L1 coefficient.
D_SAE, TOKENS = 512, 500_000
COEFFICIENTS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 14.0, 20.0)


def base_config(tokens: int) -> TrainConfig:
    """A standard SAE as SAELens advises it, at the default preset's learning rate."""
    batch = TrainConfig.train_batch_size_tokens
    steps = tokens // batch
    return TrainConfig(
        architecture="standard",
        d_sae=D_SAE,
        # SAELens takes one more step for what is left over of a batch; nothing is.
        training_tokens=steps * batch,
        l1_warm_up_steps=steps // 20,
        lr_decay_steps=steps // 5,
    )


def measured(tokens: int = TOKENS) -> dict[str, float]:
    """The figures of the module's docstring, of trainings of so many tokens; prints
    the tables."""
    torch.set_num_threads(N_CORES)
    base, axes = base_config(tokens), {"l1_coefficient": list(COEFFICIENTS)}
    points = points_of(base, axes)
    model, reference = load_model("storybook"), saelens_model()
    dataset = tokenized(model, base)
    with tempfile.TemporaryDirectory() as temporary, _home(Path(temporary)):
        folder = Path(temporary)
        runs = create_sweep(base, axes)
        ways: dict[str, Callable[[], object]] = {
            "sweep": lambda: _swept(runs.id, model),
            "multi": lambda: _by_multi(points, reference, dataset, folder / "multi"),
            "runs": lambda: [
                train_theirs(point, reference, dataset, folder / f"runs-{n}")
                for n, point in enumerate(points)
            ],
            "own": lambda: [
                train_ours(point, model, folder / f"own-{n}")
                for n, point in enumerate(points)
            ],
        }
        took: dict[str, float] = {}
        for name, way in ways.items():
            seconds = timed(way)
            took[name] = seconds.wall
            row(name, f"{seconds.wall:.1f} s", f"{seconds.cpu:.1f} s of CPU")
        places = {
            "sweep": [run.sae_dir for run in runs.points()],
            "runs": [folder / f"runs-{n}" for n in range(len(points))],
            "own": [folder / f"own-{n}" for n in range(len(points))],
        }
        found = {name: _figures(where, base, model) for name, where in places.items()}
    _print(found)
    return {
        "sweep_over_saelens_runs": took["runs"] / took["sweep"],
        "sweep_over_saelens_multi": took["multi"] / took["sweep"],
        "sweep_over_own_runs": took["own"] / took["sweep"],
        "sweep_point_gap": max(
            max(
                abs(point.ce_loss_sae - alone.ce_loss_sae),
                abs(point.l0 / alone.l0 - 1),
            )
            for point, alone in zip(found["sweep"], found["own"], strict=True)
        ),
        "sweep_points": len(points),
        "sweep_tokens": base.training_tokens,
    }


@contextmanager
def _home(folder: Path):
    """Runs of this benchmark are not the reader's."""
    with mock.patch.dict(os.environ, TINYSAE_HOME=str(folder)):
        yield


def _swept(sweep_id: str, model: LoadedModel) -> None:
    """All points of a sweep, side by side, as its worker trains them."""
    from tinysae.runs.sweep import open_sweep

    sweep = open_sweep(sweep_id)
    with sweep.locked(), Points(sweep) as points:
        turn = points.wait_for_turn(sweep)
        assert turn is not None
        progress = Progress(points)
        trained: list[Run] = []
        for party in side_by_side(points.held):
            trained += Party(points, model, progress).train(party)
        turn.close()
        assert len(trained) == len(COEFFICIENTS)


def _by_multi(
    points: Sequence[TrainConfig],
    reference: HookedTransformer,
    dataset: datasets.Dataset,
    out: Path,
) -> None:
    """All at once by SAELens, whose runner has one schedule for all."""
    config, d_in = points[0], reference.cfg.d_model
    single = asdict(runner_config(config, d_in, LoggingConfig(False), out))
    known = MultiSAETrainingRunnerConfig.__dataclass_fields__
    # What both kinds of its runners are told; the rest each has for itself.
    shared = {
        name: value
        for name, value in single.items()
        if name in known and not name.startswith("_") and name != "logger"
    }
    saes = {}
    for n, point in enumerate(points):
        torch.manual_seed(point.seed)
        saes[str(n)] = build_training_sae(point, d_in, "cpu")
    MultiSAETrainingRunner(
        MultiSAETrainingRunnerConfig(
            **shared,
            saes={name: sae.cfg for name, sae in saes.items()},
            hook_names=config.hook_name,
            logger=LoggingConfig(False),
        ),
        override_dataset=dataset,
        override_model=reference,
        override_saes=saes,
    ).run()


def _figures(
    folders: Sequence[Path], base: TrainConfig, model: LoadedModel
) -> list[Evaluation]:
    held_out = HeldOut.of(base)
    return [evaluated(load_sae(folder), model, held_out) for folder in folders]


def _print(found: dict[str, list[Evaluation]]) -> None:
    print("l1 coefficient  " + "  ".join(f"{name:>15}" for name in found))
    for n, coefficient in enumerate(COEFFICIENTS):
        cells = (f"{f[n].ce_loss_sae:7.4f} {f[n].l0:7.2f}" for f in found.values())
        print(f"{coefficient:>14g}  " + "  ".join(cells), flush=True)
