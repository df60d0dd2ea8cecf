"""A sweep's worker: what its points come to, and what it survives."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.builders import working
from tests.unit.test_worker import ended, worker_pid
from tinysae.config import TrainConfig, settings
from tinysae.features.index.format import INDEX_NAME
from tinysae.jobs import launch
from tinysae.jobs.lock import is_locked
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs import sweep as sweeps
from tinysae.runs.axes import Axes
from tinysae.runs.checkpoints import checkpoints
from tinysae.runs.metrics import TIMES, read_evals, read_metrics
from tinysae.runs.side_by_side import side_by_side
from tinysae.runs.store import Run, create_run, open_run
from tinysae.runs.sweep import (
    Sweep,
    create_sweep,
    start_sweep,
)
from tinysae.sae.train import SAETraining
from tinysae.worker import finish, keep, life, load, look
from tinysae.worker.points import Points
from tinysae.worker.sweep import work

PATIENCE_S = 600
L1: Axes = {"l1_coefficient": [1.0, 5.0, 20.0]}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))
    # A worker's life in this process, which goes on after it.
    monkeypatch.setattr(load, "be_nice", lambda: None)
    for name in ("INDEX_TOKENS", "EVALUATION_TOKENS", "CONCEPT_TOKENS"):
        monkeypatch.setattr(finish, name, 2048)
    # A look takes as long as many steps.
    monkeypatch.setattr(look, "LOOKS_PER_RUN", 5)


@pytest.fixture
def unindexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes take longer than trainings of a tiny model; one test has them."""
    for name in ("index_features", "_keep_last_moment"):
        monkeypatch.setattr(finish, name, lambda *_: None)


@pytest.fixture
def base(tiny_model_dir: Path) -> TrainConfig:
    """Stories: a file would be read by a process of its own, several times a run."""
    return TrainConfig(
        architecture="standard",
        model_name=str(tiny_model_dir),
        d_sae=32,
        k=4,
        context_size=16,
        training_tokens=30 * 64,
        train_batch_size_tokens=64,
        n_batches_in_buffer=4,
        n_batches_for_norm_estimate=3,
        store_batch_size_prompts=4,
        dead_feature_window=2,
        feature_sampling_window=4,
    )


def done_here(sweep: Sweep) -> None:
    """Works on it in this process, as its own would."""
    with sweep.locked(), Points(sweep) as points:
        sweep.enqueue()
        turn = points.wait_for_turn(sweep)
        if turn is None:
            sweep.say("stopped")
        else:
            with turn:
                work(points)


def rows(run: Run) -> list[dict[str, Any]]:
    found = read_metrics(run.metrics_path).rows
    return [{k: v for k, v in row.items() if k not in TIMES} for row in found]


def assert_same(point: Run, alone: Run) -> None:
    """To the last bit: curves, looks, figures and weights."""
    assert rows(point) == rows(alone)
    looks = read_evals(point.evals_path).rows
    assert looks
    assert looks == read_evals(alone.evals_path).rows
    assert point.evaluation() == alone.evaluation()
    weights = [load_file(r.sae_dir / "sae_weights.safetensors") for r in (point, alone)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


@cache
def trained_alone(config: TrainConfig) -> Run:
    """Once, for all tests that compare with it."""
    run = create_run(config)
    with run.locked():
        run.enqueue()
        life.train(run)
    assert run.status.state == "done"
    return run


EVERY_ARCHITECTURE: Axes = {"architecture": settings()["architecture"].choices}


def test_every_point_is_indexed(base: TrainConfig) -> None:
    sweep = create_sweep(base, {"l1_coefficient": [1.0, 9.0]})
    done_here(sweep)
    for run in sweep.points():
        assert run.status.state == "done"
        assert (run.features_dir / INDEX_NAME).is_file()
        took = run.took() or {}
        assert {"norm", "training", "evaluating", "indexing"} <= took.keys()


@pytest.mark.usefixtures("unindexed")
@pytest.mark.parametrize(
    ("axes", "changes"),
    [
        (EVERY_ARCHITECTURE, {}),
        (EVERY_ARCHITECTURE, {"normalize_activations": "none"}),
        ({"d_sae": [16, 48], "l1_coefficient": [1.0, 9.0]}, {"lr_decay_steps": 10}),
        ({"training_tokens": [10 * 64, 30 * 64], "lr": [1e-3, 3e-3]}, {}),
        # SAELens's own step, which sees the very batch that the others see.
        ({"lp_norm": [1.0, 1.5], "apply_b_dec_to_input": [False, True]}, {}),
        ({"seed": [1, 2], "l1_coefficient": [1.0, 9.0]}, {}),
    ],
)
def test_every_point_is_what_it_is_alone(
    axes: Axes,
    changes: dict[str, Any],
    base: TrainConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = create_sweep(replace(base, **changes), axes)
    made: list[object] = []
    real = SAETraining.next_batch

    def next_batch(training: SAETraining) -> torch.Tensor:
        made.append(training)
        return real(training)

    monkeypatch.setattr(SAETraining, "next_batch", next_batch)
    done_here(sweep)
    points = sweep.points()
    assert [run.status.state for run in points] == ["done"] * len(points)
    assert sweep.status.state == "done"
    # As many batches as one alone would read, for each stream.
    n_streams = len(axes.get("seed", [0]))
    assert len(made) == 30 * n_streams
    assert len(set(made)) == n_streams
    for run in points:
        assert_same(run, trained_alone(run.config))


def stepped(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[SAETraining], None]
) -> None:
    """Calls `act` after every step of any training."""
    real = SAETraining.step

    def step(training: SAETraining, batch: torch.Tensor) -> Any:
        row = real(training, batch)
        act(training)
        return row

    monkeypatch.setattr(SAETraining, "step", step)


def by_coefficient(sweep: Sweep) -> dict[float, Run]:
    return {run.config.l1_coefficient: run for run in sweep.points()}


@pytest.mark.usefixtures("unindexed")
def test_one_point_stops_alone_and_goes_on_with_the_others_or_alone(
    base: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = create_sweep(base, L1)
    stopped = by_coefficient(sweep)[5.0]
    with monkeypatch.context() as patch:

        def act(training: SAETraining) -> None:
            if training.config.l1_coefficient == 5.0 and training.n_steps == 11:
                stopped.request_stop()

        stepped(patch, act)
        done_here(sweep)
    states = [run.status.state for run in sweep.points()]
    assert states == ["done", "stopped", "done"]
    assert sweep.status.state == "stopped"
    assert not is_locked(stopped.path)
    assert checkpoints(stopped)[-1].step == 11
    assert (stopped.sae_dir / "sae_weights.safetensors").is_file()
    done_here(sweep)
    assert sweep.status.state == "done"
    for run in sweep.points():
        assert_same(run, trained_alone(run.config))


@pytest.mark.slow
@pytest.mark.usefixtures("unindexed")
def test_all_stop_keep_what_they_have_and_go_on(
    base: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = create_sweep(base, {**L1, "seed": [1, 2]})
    with monkeypatch.context() as patch:

        def act(training: SAETraining) -> None:
            if training.n_steps == 7:
                sweep.request_stop()

        stepped(patch, act)
        done_here(sweep)
    assert sweep.status.state == "stopped"
    assert {run.status.state for run in sweep.points()} == {"stopped"}
    # The other seed's party had not begun.
    assert sorted(len(rows(run)) for run in sweep.points()) == [0, 0, 0, 7, 7, 7]
    done_here(sweep)
    assert sweep.status.state == "done"
    for run in sweep.points():
        assert_same(run, trained_alone(run.config))


@pytest.mark.usefixtures("unindexed")
def test_a_point_that_waits_can_be_stopped(
    base: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = create_sweep(base, {"seed": [1, 2]})
    first, second = sweep.points()
    seen: list[str] = []

    def act(training: SAETraining) -> None:
        if training.config.seed == 1 and training.n_steps == 3:
            second.request_stop()
        if training.config.seed == 1 and training.n_steps == 5:
            seen.append(second.status.state)

    stepped(monkeypatch, act)
    done_here(sweep)
    assert seen == ["stopped"]
    assert first.status.state == "done"
    assert rows(second) == []


@pytest.mark.usefixtures("unindexed")
def test_a_point_that_diverges_ends_alone_and_says_why(
    base: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = create_sweep(base, L1)

    def act(training: SAETraining) -> None:
        if training.config.l1_coefficient == 5.0 and training.n_steps == 9:
            with torch.no_grad():
                training._sae.W_dec.fill_(float("nan"))

    stepped(monkeypatch, act)
    done_here(sweep)
    runs = by_coefficient(sweep)
    assert runs[5.0].status.state == "failed"
    assert runs[5.0].status.error == "error.diverged"
    assert not is_locked(runs[5.0].path)
    assert sweep.status.state == "done"
    for coefficient in (1.0, 20.0):
        run = runs[coefficient]
        assert run.status.state == "done"
        assert_same(run, trained_alone(run.config))


def test_a_sweep_whose_model_is_not_there_says_so_of_each(
    base: TrainConfig, tmp_path: Path
) -> None:
    sweep = create_sweep(replace(base, model_name=str(tmp_path / "no-such")), L1)
    done_here(sweep)
    assert {run.status.error for run in sweep.points()} == {"error.model_missing"}
    assert sweep.status.state == "failed"
    assert sweep.status.error == "error.model_missing"


@pytest.mark.slow
@pytest.mark.usefixtures("unindexed")
def test_a_full_disk_ends_all_and_they_go_on_when_there_is_room(
    base: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = create_sweep(base, L1)
    with monkeypatch.context() as patch:
        is_full: list[bool] = []

        def act(training: SAETraining) -> None:
            if training.n_steps == 12:
                is_full.append(True)
                raise OSError(28, "No space left on device")

        stepped(patch, act)
        done_here(sweep)
        assert is_full
    assert {run.status.error for run in sweep.points()} == {"error.home_full"}
    assert sweep.status.error == "error.home_full"
    done_here(sweep)
    assert sweep.status.state == "done"
    for run in sweep.points():
        assert_same(run, trained_alone(run.config))


@pytest.mark.usefixtures("unindexed")
def test_a_point_that_trains_by_itself_is_left_alone(base: TrainConfig) -> None:
    sweep = create_sweep(base, L1)
    own = by_coefficient(sweep)[5.0]
    with working(own):
        done_here(sweep)
        assert own.status.state == "training"
    assert rows(own) == []
    others = [run for run in sweep.points() if run.id != own.id]
    assert [run.status.state for run in others] == ["done", "done"]


@pytest.mark.slow
@pytest.mark.usefixtures("unindexed")
@pytest.mark.parametrize("n_written", [1, 3, 5])
def test_wherever_the_writing_of_checkpoints_is_cut_off_all_go_on_together(
    n_written: int, base: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time that all are written: three checkpoints, three removals."""
    sweep = create_sweep(base, L1)

    class Killed(BaseException):
        pass

    left = [3 + 3 + n_written]

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def counting(*args: Any, **kwargs: Any) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            real(*args, **kwargs)

        return counting

    with monkeypatch.context() as patch:
        patch.setattr(keep, "pause_after", lambda _: -1.0)
        for name in ("keep", "drop_older"):
            patch.setattr(keep.Keeper, name, counted(getattr(keep.Keeper, name)))
        with pytest.raises(Killed):
            done_here(sweep)
    # As after `kill -9`: no last words, no locks.
    for run in sweep.points():
        write_status(run.path, JobStatus("training"))
    (party,) = side_by_side(sweep.points())
    assert len(party) == 3
    done_here(sweep)
    for run in sweep.points():
        assert_same(run, trained_alone(run.config))


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_to_the_same_numbers(
    base: TrainConfig, short_text: Path
) -> None:
    base = replace(base, dataset_path=str(short_text), training_tokens=64 * 4000)
    sweep = start_sweep(base, L1)
    points = sweep.points()
    wait_for(lambda: all(len(rows(run)) > 100 for run in points), "the first rows")
    os.kill(worker_pid(sweep), signal.SIGKILL)
    wait_for(lambda: not is_locked(sweep.path), "the end of the worker")
    assert sweep.status.state == "interrupted"
    assert {run.status.state for run in points} == {"interrupted"}
    launch.launch(sweep, sweeps.COMMAND)
    wait_for(lambda: ended(sweep), "the rest")
    assert sweep.status.state == "done", sweep.log_path.read_text()
    # One thread here, all cores there: the step's numbers do not depend on it.
    for run in sweep.points():
        alone = create_run(run.config)
        launch.launch(alone, "train")
        wait_for(
            lambda alone=alone: (
                not alone.status.is_working and not is_locked(alone.path)
            ),
            "the same alone",
        )
        assert_same(run, open_run(alone.id))


def test_a_started_sweep_is_stopped_while_it_waits(base: TrainConfig) -> None:
    ahead = create_run(base)
    sweep = create_sweep(base, L1)
    with working(ahead, "queued"):
        launch.launch(sweep, sweeps.COMMAND)
        wait_for(
            lambda: all(run.status.state == "queued" for run in sweep.points()),
            "the points' waiting",
        )
        first, *_ = sweep.points()
        first.request_stop()
        wait_for(lambda: first.status.state == "stopped", "one to stop")
        assert sweep.status.state == "queued"
        sweep.request_stop()
        wait_for(lambda: ended(sweep), "all to stop")
    assert sweep.status.state == "stopped"
    assert {run.status.state for run in sweep.points()} == {"stopped"}
