"""A sweep's folder: what is made, listed, read from a file; who goes on together."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinysae.config import TrainConfig, settings
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.runs import sweep as sweeps
from tinysae.runs.axes import Axes
from tinysae.runs.checkpoints import new_checkpoint
from tinysae.runs.side_by_side import side_by_side
from tinysae.runs.store import Run, create_run, list_runs
from tinysae.runs.sweep import (
    Sweep,
    create_sweep,
    list_sweeps,
    open_sweep,
    read_plan,
    sweep_of,
)
from tinysae.sae import estimate_sweep

pytestmark = pytest.mark.usefixtures("tiny_home")

BASE = TrainConfig(architecture="standard", context_size=16)
L1: Axes = {"l1_coefficient": [1.0, 5.0, 20.0]}


def test_a_point_is_an_ordinary_run_that_knows_its_sweep() -> None:
    sweep = create_sweep(BASE, L1)
    assert sweep.status.state == "stopped"
    assert sweep == open_sweep(sweep.id)
    assert list(list_sweeps()) == [sweep]
    assert {run.id for run in list_runs()} == set(sweep.point_ids)
    assert [run.config.l1_coefficient for run in sweep.points()] == [1.0, 5.0, 20.0]
    assert all(sweep_of(run) == sweep.id for run in list_runs())
    assert sweep_of(create_run(BASE)) is None
    assert all(sweep.id < run.id for run in sweep.points())


def test_nothing_is_left_of_a_sweep_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Run] = []

    def create(*args: Any, **kwargs: Any) -> Run:
        if len(made) == 2:
            raise OSError(28, "No space left on device")
        made.append(create_run(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(sweeps, "create_run", create)
    with pytest.raises(MissingError, match="No space left"):
        create_sweep(BASE, L1)
    assert made
    assert not list(list_runs())
    assert not list(list_sweeps())


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 9}',
        '{"format": 1, "base": {"format": 1}, "axes": [], "points": []}',
        '{"format": 1, "base": {"format": 1}, "axes": {"k": 3}, "points": []}',
        '{"format": 1, "base": {"format": 1}, "axes": {"no": [3]}, "points": []}',
        '{"format": 1, "base": {"format": 1}, "axes": {}, "points": [["x"]]}',
        '{"format": 1, "base": 3, "axes": {}, "points": []}',
    ],
)
def test_a_damaged_sweep_is_left_out_of_the_list(text: str) -> None:
    sweep = create_sweep(BASE, L1)
    (sweep.path / "sweep.json").write_text(text)
    with pytest.raises(DamagedError):
        open_sweep(sweep.id)
    listed = list_sweeps()
    assert not listed
    assert [each.path for each in listed.unreadable] == [sweep.path]


def test_a_point_that_is_named_twice_is_one() -> None:
    sweep = create_sweep(BASE, L1)
    path = sweep.path / "sweep.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"points": data["points"] * 2}))
    assert open_sweep(sweep.id).point_ids == sweep.point_ids


def test_points_that_were_deleted_are_no_points_any_more() -> None:
    sweep = create_sweep(BASE, L1)
    (sweep.points()[0].path / "config.json").unlink()
    sweep.points()
    assert [run.id for run in sweep.points()] == sweep.point_ids[1:]


@pytest.mark.parametrize("sweep_id", ["nope", "../runs", "A", ""])
def test_only_a_sweeps_id_opens_one(sweep_id: str) -> None:
    with pytest.raises((InputError, MissingError), match="no sweep"):
        open_sweep(sweep_id)


def test_a_file_says_what_the_options_say(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    data = {
        "base": {"architecture": "standard", "d_sae": 64},
        "axes": {"l1_coefficient": "1..4 x2", "lr": [1e-3, 1e-4]},
    }
    path.write_text(json.dumps(data))
    base, axes = read_plan(path)
    assert base == TrainConfig(architecture="standard", d_sae=64)
    assert axes == {"l1_coefficient": [1.0, 2.0, 4.0], "lr": [1e-3, 1e-4]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read as a sweep"),
        ("[1]", "cannot be read as a sweep"),
        ("{}", "cannot be read as a sweep"),
        ('{"axes": [1]}', "cannot be read as a sweep"),
        ('{"axes": {"k": 3}}', "cannot be read as a sweep"),
        ('{"base": [], "axes": {}}', "cannot be read as a sweep"),
        ('{"base": {"nope": 1}, "axes": {}}', "“nope” is no setting"),
        ('{"base": {"k": -1}, "axes": {}}', "k is -1"),
    ],
)
def test_a_file_that_says_something_else_is_refused(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_plan(path)


def test_what_decides_the_stream_is_all_that_does(tiny_model: Any) -> None:
    """Whoever adds a setting that changes which activations are read names it."""
    from tinysae.runs.sweep import _STREAM

    of_the_text = {
        n for n, each in settings().items() if each.group in ("data", "store")
    }
    # One forward serves all hooks.
    assert of_the_text - {"name", "training_tokens", "hook_name"} <= set(_STREAM)
    read: set[str] = set()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            if name in settings():
                read.add(name)
            return getattr(TrainConfig(context_size=16), name)

    from tinysae.sae.batches import TrainingBatches

    config: Any = Watched()
    batches = TrainingBatches(config, tiny_model)
    next(batches)
    batches.close()
    assert read
    assert read - {"hook_name"} <= set(_STREAM)


def test_points_too_large_together_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def width_of(_: TrainConfig) -> int:
        return 64

    configs = [replace(BASE, d_sae=4096, l1_coefficient=n) for n in range(1, 6)]
    two = estimate_sweep.together_bytes(configs[:2], width_of, 0)
    three = estimate_sweep.together_bytes(configs[:3], width_of, 0)
    room = (two + three) / 2 / estimate_sweep.MOST_OF_MEMORY
    monkeypatch.setattr(estimate_sweep, "memory_of", lambda _: room)
    parts = estimate_sweep.fitting(configs, width_of, 0)
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [c for part in parts for c in part] == configs


def with_checkpoints(run: Run, steps: Sequence[int]) -> None:
    for step in steps:
        with new_checkpoint(run, step, drops_older=False) as stage:
            (stage / "state").write_text("state")


def parties(sweep: Sweep) -> list[tuple[int | None, list[float]]]:
    """By their step, the coefficients of those that go on from there."""
    return [
        (
            party[0].checkpoint and party[0].checkpoint.step,
            [start.run.config.l1_coefficient for start in party],
        )
        for party in side_by_side(sweep.points())
    ]


def test_a_party_goes_on_from_the_last_step_that_all_have() -> None:
    sweep = create_sweep(BASE, L1)
    runs = {run.config.l1_coefficient: run for run in sweep.points()}
    assert parties(sweep) == [(None, [1.0, 5.0, 20.0])]
    # Killed while the second checkpoints were written.
    for coefficient, steps in {1.0: [10, 20], 5.0: [10, 20], 20.0: [10]}.items():
        with_checkpoints(runs[coefficient], steps)
    assert parties(sweep) == [(10, [1.0, 5.0, 20.0])]
    # All have the new one; not all of the old ones are gone.
    with_checkpoints(runs[20.0], [20])
    assert parties(sweep) == [(20, [1.0, 5.0, 20.0])]


def test_who_was_stopped_earlier_goes_on_alone() -> None:
    sweep = create_sweep(BASE, L1)
    runs = {run.config.l1_coefficient: run for run in sweep.points()}
    for coefficient, steps in {1.0: [20], 20.0: [5, 12, 20]}.items():
        with_checkpoints(runs[coefficient], steps)
    assert parties(sweep) == [(None, [5.0]), (20, [1.0, 20.0])]
    # Nobody goes far back for it.
    with_checkpoints(runs[5.0], [5])
    assert parties(sweep) == [(5, [5.0]), (20, [1.0, 20.0])]
