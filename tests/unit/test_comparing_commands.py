"""`python -m tinysae compare`, the table of `runs`, and what `evaluate` keeps."""

from pathlib import Path

import pytest

from tests.builders import HOOK_NAME, write_sae
from tinysae import __main__
from tinysae.config import TrainConfig
from tinysae.library.all_compared import all_compared
from tinysae.runs.store import create_run
from tinysae.words import text
from tinysae.worker import finish


@pytest.fixture(autouse=True)
def _in_a_home(monkeypatch: pytest.MonkeyPatch, tiny_home: Path) -> None:
    assert tiny_home.is_dir()
    monkeypatch.setattr(finish, "EVALUATION_TOKENS", 2048)


@pytest.fixture
def folder(tmp_path: Path, tiny_model_dir: Path) -> Path:
    metadata = {"hook_name": HOOK_NAME, "model_name": str(tiny_model_dir)}
    return write_sae(tmp_path / "elsewhere" / "my sae", metadata=metadata)


def test_two_saes_are_compared_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["compare", "storybook", "storybook"]) == 0
    said = capsys.readouterr().out
    # Every feature but for dead ones without a direction is its own nearest.
    assert "found by both (cosine 0.7): 4,096, 100.0% of the smaller SAE" in said
    assert "ce_loss_score" in said


def test_saes_of_two_models_are_not_compared(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["compare", "storybook", str(folder)]) == 1
    said = text("error.compare_two_models", "en", one="storybook", other=str(folder))
    assert said in capsys.readouterr().err


def test_runs_are_a_table_of_any_columns(capsys: pytest.CaptureFixture[str]) -> None:
    run = create_run(TrainConfig(name="=mine", k=7.0))
    assert __main__.main(["runs", "--columns", "name, k,named_share", "--csv"]) == 0
    head, first, *shipped = capsys.readouterr().out.splitlines()
    assert head == "id,name,k,named_share"
    assert first == f"{run.id},'=mine,7.0,"
    # What came along has names.
    assert all(float(line.split(",")[-1]) > 0.5 for line in shipped)
    assert __main__.main(["runs", "--columns", "k"]) == 0
    assert f"{run.id}" in capsys.readouterr().out
    assert __main__.main(["runs", "--columns", "nope"]) == 1
    assert "“nope”" in capsys.readouterr().err


def test_an_evaluated_sae_from_elsewhere_has_a_place_among_others(
    folder: Path,
) -> None:
    assert __main__.main(["evaluate", str(folder)]) == 0
    (found,) = [each for each in all_compared() if each.kind == "saved"]
    assert found.is_measured
    assert found.ground is not None
    assert found.ground.hook_name == HOOK_NAME
