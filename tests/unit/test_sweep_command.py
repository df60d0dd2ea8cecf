"""`python -m tinysae sweep`, in this process."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tinysae import __main__
from tinysae.model import sources
from tinysae.runs.metrics import read_metrics
from tinysae.runs.sweep import list_sweeps
from tinysae.sae.train import SAETraining
from tinysae.worker import finish, load

STEPS = 30


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    monkeypatch.setattr(load, "be_nice", lambda: None)
    monkeypatch.setattr(finish, "EVALUATION_TOKENS", 2048)
    for name in ("index_features", "_keep_last_moment"):
        monkeypatch.setattr(finish, name, lambda *_: None)


@pytest.fixture
def words(tiny_model_dir: Path) -> list[str]:
    """A base for tiny trainings."""
    base = {
        "architecture": "standard",
        "model-name": tiny_model_dir,
        "d-sae": 32,
        "context-size": 16,
        "training-tokens": STEPS * 64,
        "train-batch-size-tokens": 64,
        "n-batches-in-buffer": 4,
        "n-batches-for-norm-estimate": 3,
        "store-batch-size-prompts": 4,
    }
    return ["sweep", *(f"--{name}={value}" for name, value in base.items())]


def test_a_sweep_is_started_listed_and_over(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*words, "--over", "l1_coefficient=1,5", "--seeds", "2"]
    assert __main__.main(asked) == 0
    (sweep,) = list_sweeps()
    assert [run.config.title for run in sweep.points()] == [
        f"l1_coefficient {c}, seed {seed}" for c in (1, 5) for seed in (42, 43)
    ]
    assert {run.status.state for run in sweep.points()} == {"done"}
    assert "4 trainings, whose activations are read 2 times" in capsys.readouterr().out
    assert __main__.main(["sweep", "--list"]) == 0
    listed = capsys.readouterr().out
    assert sweep.id in listed
    assert "4/4" in listed


def test_a_dry_run_says_what_it_takes_and_starts_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main([*words, "--over", "d-sae=16..64 x2", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 trainings, whose activations are read once" in said
    assert "GB of memory" in said
    assert not list_sweeps()


def test_a_pattern_of_hooks_and_the_estimate_load_the_model_once(
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: list[str] = []
    real = sources.load_model

    def load_model(source: str) -> Any:
        loaded.append(source)
        return real(source)

    monkeypatch.setattr(sources, "load_model", load_model)
    asked = [*words, "--over", "hook_name=blocks.*.hook_mlp_out", "--dry-run"]
    assert __main__.main(asked) == 0
    assert "2 trainings, whose activations are read once" in capsys.readouterr().out
    assert len(loaded) == 1


def test_a_file_and_what_is_typed_on_top_of_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.json"
    plan = {"base": {"lr": 1e-3}, "axes": {"l1_coefficient": "1..4 x2"}}
    path.write_text(json.dumps(plan), encoding="utf-8")
    asked = [*words, "--file", str(path), "--over", "d_sae=16,32", "--dry-run"]
    assert __main__.main(asked) == 0
    assert "6 trainings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "varies one setting at least"),
        (["--over", "l1_coefficient"], "cannot be read"),
        (["--over", "l1_coefficient=x"], "cannot be read"),
        (["--over", "nope=1,2"], "no setting"),
        (["--over", "l1_coefficient=1"], "1 training;"),
        (["--over", "k=1,2"], "means nothing for standard"),
        (["--over", "l1_coefficient=1,-2"], "l1_coefficient is -2"),
        (["--seeds", "0"], "0 trainings"),
        (["no-such-sweep"], "no sweep"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    more: list[str], said: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main([*words, *more]) == 1
    assert said in capsys.readouterr().err
    assert not list_sweeps()


def test_ctrl_c_keeps_what_was_learnt_and_says_how_to_go_on(
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, before = SAETraining.step, signal.getsignal(signal.SIGINT)

    def step(training: SAETraining, batch: torch.Tensor) -> Any:
        if training.n_steps == 5 and training.config.l1_coefficient == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return real(training, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SAETraining, "step", step)
        assert __main__.main([*words, "--over", "l1_coefficient=1,5"]) == 0
    (sweep,) = list_sweeps()
    assert signal.getsignal(signal.SIGINT) is before
    assert f"python -m tinysae sweep {sweep.id}" in capsys.readouterr().err
    assert sweep.status.state == "stopped"
    assert {run.status.state for run in sweep.points()} == {"stopped"}
    assert all((run.sae_dir / "cfg.json").is_file() for run in sweep.points())
    assert __main__.main(["sweep", sweep.id]) == 0
    assert sweep.status.state == "done"
    for run in sweep.points():
        steps = [row["step"] for row in read_metrics(run.metrics_path).rows]
        assert steps == list(range(STEPS))
