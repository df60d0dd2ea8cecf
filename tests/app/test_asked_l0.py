"""Asking for an L0, and what became of it, on the training page."""

from pathlib import Path
from typing import Any

import pytest

from tests.app.test_train import opened, press, shown
from tests.builders import finished_run, step_row, write_model
from tinysae.config import TrainConfig
from tinysae.jobs.files import write_json
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs.metrics import MetricsLog
from tinysae.runs.store import EVAL_NAME, Run, create_run, write_made_with
from tinysae.sae.rows import StepMetrics
from tinysae.sae.sparsity_control import HIGHEST, LOWEST, SETTLED
from tinysae.ui.train import curves
from tinysae.words import LANGUAGES, Language, text


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


def steered_run(settled: Any = 3.412, l0: float = 19.8, **changes: Any) -> Run:
    """A run that was asked for 20 features a token, done and measured."""
    run = create_run(TrainConfig(architecture="standard", wanted_l0=20, **changes))
    write_json(run.path / EVAL_NAME, {"ce_loss_score": 0.9, "l0": l0})
    write_made_with(run, {SETTLED: settled})
    write_status(run.path, JobStatus("done"))
    return run


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("topk", "k"),
        ("matryoshka_batchtopk", "k"),
        ("standard", "wanted_l0"),
        ("gated", "wanted_l0"),
        ("jumprelu", "wanted_l0"),
    ],
)
def test_one_field_asks_how_many_features_a_token(
    architecture: str, name: str, started: list[TrainConfig]
) -> None:
    app = opened()
    app.selectbox(key="look_architecture").set_value(architecture).run()
    asking = {"look_k", "look_wanted_l0", "look_target_l0"}
    assert asking & {field.key for field in app.number_input} == {f"look_{name}"}
    app.number_input(key=f"look_{name}").set_value(20.0)
    press(app, "train.start")
    assert getattr(started[0], name) == 20


def test_of_the_quadratic_loss_it_is_asked_as_saelens_does() -> None:
    app = opened()
    app.selectbox(key="look_architecture").set_value("jumprelu").run()
    app.selectbox(key="look_jumprelu_sparsity_loss_mode").set_value("quadratic").run()
    keys = [field.key for field in app.number_input]
    assert keys.count("look_target_l0") == 1
    assert "look_wanted_l0" not in keys


def test_more_than_there_are_is_refused_before_the_start() -> None:
    app = opened()
    app.selectbox(key="look_architecture").set_value("gated").run()
    app.number_input(key="look_wanted_l0").set_value(100_000.0).run()
    assert "wanted_l0" in "".join(error.value for error in app.error).replace("\\", "")
    assert app.button(key="train_start").disabled


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_it_settled_is_said_and_can_be_repeated_plainly(
    language: Language, started: list[TrainConfig]
) -> None:
    run = steered_run(seed=7)
    app = opened(language, run=run.id)
    said = shown(app).replace("\\", "")
    assert "l1_coefficient = 3.41" in said
    assert "19.8" in said
    assert not any(
        text(f"train.steered_{why}", language) in said
        for why in ("too_many", "too_few", "on_its_way")
    )
    app.button(key="train_repeat_plainly").click().run()
    press(app, "train.start", language)
    assert started[0] == TrainConfig(
        architecture="standard", l1_coefficient=3.412, seed=7
    )


def test_starting_from_it_stays_steered(started: list[TrainConfig]) -> None:
    app = opened(run=steered_run().id)
    app.button(key="train_repeat_plainly").click().run()
    app.button(key="train_start_from").click().run()
    press(app, "train.start")
    assert (started[0].wanted_l0, started[0].l1_coefficient) == (20, 5)


@pytest.mark.parametrize(
    ("l0", "settled", "why"),
    [
        (15.0, LOWEST, "too_many"),
        (30.0, HIGHEST, "too_few"),
        (23.0, 2.0, "on_its_way"),
    ],
)
def test_an_l0_that_was_not_met_is_said_with_its_reason(
    l0: float, settled: float, why: str
) -> None:
    said = shown(opened(run=steered_run(settled, l0).id)).replace("\\", "")
    assert text(f"train.steered_{why}", "en") in said


@pytest.mark.parametrize("settled", [None, "<b>", float("nan"), -1])
def test_a_record_that_is_no_coefficient_is_not_shown(settled: Any) -> None:
    app = opened(run=steered_run(settled).id)
    assert not app.exception
    assert "train_repeat_plainly" not in [each.key for each in app.button]


def test_a_run_that_was_not_steered_says_nothing_of_it(model_dir: Path) -> None:
    app = opened(run=finished_run(model_dir, with_features=False).id)
    assert not app.exception
    assert "train_repeat_plainly" not in [each.key for each in app.button]


def test_the_curve_shows_the_coefficient_and_the_l0_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(
        curves, "live_chart", lambda key, series, **_: drawn.update({key: series})
    )
    run = steered_run()
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        for step in range(3):
            log.append(step_row(step=step, n_tokens=64 * step, coefficient=1.0 + step))
    opened(run=run.id)
    assert list(drawn["chart_coefficient"][-1].y) == [1.0, 2.0, 3.0]
    wanted = drawn["chart_l0"][-1]
    assert (wanted.style, list(wanted.x), list(wanted.y)) == (
        "dashed",
        [0, 128],
        [20] * 2,
    )
    assert len(drawn) == len(curves.FRONT)
