"""What the training page shows of a run: its state, its figures, its deletion."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_train import (
    listed,
    opened,
    press,
    shown,
)
from tests.builders import finished_run, step_row, working
from tinysae.config import TrainConfig
from tinysae.jobs import launch, turns
from tinysae.jobs.files import write_json
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.render.numbers import NO_FIGURE
from tinysae.render.visible import shortened
from tinysae.runs import trash
from tinysae.runs.metrics import MetricsLog, read_metrics
from tinysae.runs.store import EVAL_NAME, Run, create_run, list_runs, write_made_with
from tinysae.sae.rows import ACTIVATION_SCALE, StepMetrics
from tinysae.sae.step.engine import DENSE, DENSE_STEP, REASONS, SPARSE, EngineChoice
from tinysae.ui.shell import cache
from tinysae.ui.shell.page import plain
from tinysae.ui.train import expected
from tinysae.ui.train import run as run_view
from tinysae.ui.train.curves import LEAST_ROWS
from tinysae.ui.train.runs_table import NAME_LETTERS
from tinysae.words import LANGUAGES, Language, text

pytestmark = pytest.mark.usefixtures("tiny_home")


@pytest.mark.parametrize(
    "run_id", ["../x", "/etc/passwd", "20200101-000000-abcdef", "<script>", "a" * 5000]
)
def test_an_unknown_run_in_the_link_is_a_sentence(
    run_id: str, hostile_model_dir: Path
) -> None:
    finished_run(hostile_model_dir)
    app = opened(run=run_id)
    assert len(app.error) == 1
    assert not app.exception


def test_a_log_shows_a_bar_as_a_terminal_does(hostile_model_dir: Path) -> None:
    run = finished_run(hostile_model_dir)
    run.log_path.write_text("begins\rhalf\rwhole\nends\r\n", newline="")
    assert run_view._log_tail(run) == "whole\nends"


def test_no_figure_is_told_as_a_word_of_pythons(hostile_model_dir: Path) -> None:
    create_run(TrainConfig(model_name=str(hostile_model_dir)))
    app = opened()
    table = next(table for table in app.dataframe if "name" in table.value)
    assert table.proto.placeholder == NO_FIGURE


def test_a_finished_run_shows_its_figures(hostile_model_dir: Path) -> None:
    run = finished_run(hostile_model_dir, name="<img src=x onerror=alert(1)>")
    app = opened(run=run.id)
    assert not app.exception
    assert [metric.value for metric in app.metric] == [
        "90.0%",
        "4.0",
        "80.0%",
        "1 · 2.5%",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failed_run_says_why(language: Language) -> None:
    run = create_run(TrainConfig())
    write_status(
        run.path,
        JobStatus(
            "failed",
            error="error.diverged",
            error_values={"step": 3, "lr": 1, "better": 0.2},
        ),
    )
    app = opened(language, run=run.id)
    assert text("error.diverged", language, step=3, lr=1, better=0.2)[:8] in shown(app)


def test_a_failure_of_another_version_is_still_a_sentence() -> None:
    run = create_run(TrainConfig())
    write_status(run.path, JobStatus("failed", error="error.from_the_future"))
    assert "log" in shown(opened(run=run.id))


def test_an_interrupted_run_keeps_its_torn_curve() -> None:
    run = create_run(TrainConfig())
    row = step_row()
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        log.append(row)
    with run.metrics_path.open("a") as file:
        file.write(json.dumps(row)[:30])
    write_status(run.path, JobStatus("training", done=64, total=100))
    app = opened(run=run.id)
    assert text("train.interrupted_killed", "en")[:40] in shown(app)
    assert len(read_metrics(run.metrics_path).rows) == 1


def test_a_damaged_run_is_left_out_and_named_when_linked(
    hostile_model_dir: Path,
) -> None:
    good = finished_run(hostile_model_dir)
    bad = create_run(TrainConfig())
    (bad.path / "config.json").write_text("{")
    app = opened()
    title = shortened(good.config.title, NAME_LETTERS)
    assert listed(app) == [title, text("features.embedded", "en")]
    app = opened(run=bad.id)
    assert "config" in shown(app)
    assert (bad.path / "config.json").read_text() == "{"


def test_a_stopped_run_offers_its_index(
    hostile_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(hostile_model_dir, with_features=False)
    write_status(run.path, JobStatus("stopped"))
    app = opened(run=run.id)
    commands: list[str] = []
    monkeypatch.setattr(launch, "launch", lambda _, command: commands.append(command))
    press(app, "train.index_now")
    press(app, "train.resume")
    assert commands == ["index", "train"]


def test_a_run_that_nobody_chose_stays_when_it_is_stopped(
    hostile_model_dir: Path,
) -> None:
    finished_run(hostile_model_dir)
    run = create_run(TrainConfig())
    with working(run):
        assert text("train.stop", "en") in [b.label for b in opened().button]
    write_status(run.path, JobStatus("stopped"))
    app = opened()
    assert text("train.resume", "en") in [b.label for b in app.button]
    assert text("train.stopped_early", "en") in shown(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_interrupted_run_can_be_resumed(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(TrainConfig())
    write_status(run.path, JobStatus("training", done=64, total=100))
    commands: list[str] = []
    monkeypatch.setattr(launch, "launch", lambda _, command: commands.append(command))
    app = opened(language, run=run.id)
    press(app, "train.resume", language)
    assert commands == ["train"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_deleted_run_comes_back_with_undo(
    language: Language, hostile_model_dir: Path
) -> None:
    name = "<img src=x onerror=alert(1)> :red[x]"
    run = finished_run(hostile_model_dir, name=name)
    app = opened(language, run=run.id)
    press(app, "train.delete", language)
    assert list_runs() == []
    assert plain(text("train.deleted", language, name=name)) in shown(app)
    press(app, "train.undo", language)
    assert list_runs() == [run]
    assert app.query_params["run"] == run.id
    assert text("train.undo", language) not in [b.label for b in app.button]


def test_after_a_deletion_page_and_sidebar_show_the_same(
    hostile_model_dir: Path,
) -> None:
    finished_run(hostile_model_dir, name="old")
    # It has an SAE, but no features yet: the other pages cannot show it.
    next_one = finished_run(hostile_model_dir, name="next", with_features=False)
    last = finished_run(hostile_model_dir, name="last")
    app = opened(run=last.id)
    press(app, "train.delete")
    assert app.selectbox(key="shell.sae").value == next_one.id
    assert f"**{plain(run_view.run_label(next_one))}**" in shown(app)
    press(app, "train.undo")
    assert app.selectbox(key="shell.sae").value == last.id
    assert f"**{plain(run_view.run_label(last))}**" in shown(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_that_ended_before_its_first_step_promises_no_curves(
    language: Language,
) -> None:
    run = create_run(TrainConfig())
    title = text("train.chart_mse", language)
    with working(run, "starting"):
        assert title in shown(opened(language, run=run.id))
    write_status(run.path, JobStatus("stopped"))
    found = shown(opened(language, run=run.id))
    assert plain(text("train.curve_none", language)) in found
    assert title not in found


def test_a_run_in_the_trash_is_restored_or_goes_for_good(
    hostile_model_dir: Path,
) -> None:
    runs = [finished_run(hostile_model_dir), finished_run(hostile_model_dir)]
    for run in runs:
        trash.delete(run)
    app = opened()
    app.button(key=f"train_restore_{runs[0].id}").click().run()
    assert [run.id for run in list_runs()] == [runs[0].id]
    press(app, "train.empty_trash")
    assert not app.exception
    assert trash.deleted_runs() == []
    assert [run.id for run in list_runs()] == [runs[0].id]


def test_the_tutorial_is_shown_and_says_what_it_needs() -> None:
    app = opened()
    app.radio(key="train_preset").set_value("tutorial").run()
    assert app.number_input(key="tutorial_training_tokens").value == 122_880_000
    assert app.number_input(key="tutorial_d_sae").value == 16_384
    assert "tiny" in shown(app)
    assert app.button(key="train_start").disabled


def test_a_waiting_run_says_for_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [create_run(TrainConfig(name=name)) for name in ("first", "second", "third")]
    busy, oldest, newest = sorted(made, key=lambda each: each.id)
    ids = [newest.id, oldest.id, busy.id]
    monkeypatch.setattr(turns, "job_ids", lambda _: ids)
    with working(busy), working(oldest, "queued"), working(newest, "queued"):
        app = opened(run=newest.id)
        # The one that works, and the one that waits before it.
        assert text("train.waits_for", "en", n=2) in [
            bar.proto.text for bar in app.get("progress")
        ]
        # Another can be started meanwhile.
        assert plain(text("train.waits_its_turn", "en")) in shown(app)
        assert not app.button(key="train_start").disabled


def places(block: Any, said: str) -> list[list[int]]:
    """Where elements that begin with this text are, as ways down through the blocks."""
    found = []
    for at, child in block.children.items():
        if child.type == "markdown" and child.value.startswith(said):
            found.append([at])
        if hasattr(child, "children"):
            found += [[at, *way] for way in places(child, said)]
    return found


def test_a_curve_stays_where_it_is_when_what_is_above_it_goes() -> None:
    run = create_run(TrainConfig())
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        log.append(step_row())
    ways = []
    for state in ("training", "evaluating"):
        with working(run, state):
            app = opened(run=run.id)
            said = text("train.explore_now", "en")
            is_offered = said in [each.label for each in app.button]
            assert is_offered == (state == "training")
            title = f":small[**{text('train.chart_mse', 'en')}**"
            ways.append(places(app.main, title))
    # Otherwise the browser would draw it anew.
    assert ways[0] == ways[1]
    assert len(ways[0]) == 1


def sick_run(**figures: float) -> Run:
    """A TopK run of which `eval.json` says that much is wrong, with a curve."""
    config = TrainConfig(
        architecture="topk",
        k=24.0,
        d_sae=256,
        name="<b>sick</b> $x$",
        training_tokens=64 * 2048,
        lr_decay_steps=12,
    )
    run = create_run(config)
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        for step in range(64):
            log.append(step_row(step=step, n_tokens=step * 2048, lr=config.lr))
    write_json(run.path / EVAL_NAME, {"l0": 24.0, **figures})
    write_status(run.path, JobStatus("done"))
    return run


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sick_run_is_diagnosed_and_started_mended_by_a_click(
    language: Language, started: list[TrainConfig]
) -> None:
    run = sick_run(dense_share=0.6)
    app = opened(language, run=run.id)
    found = shown(app).replace("\\", "")
    assert "60%" in found
    # What the button changes stands beside it.
    assert "k 24 → 10" in found
    assert app.button(key="train_mend_dense").label == text("doctor.mend", language)
    app.button(key="train_mend_dense").click().run()
    assert not app.exception
    (config,) = started
    assert config.k == 10
    assert config.name == "k 24 → 10 · <b>sick</b> $x$"
    again = replace(config, k=run.config.k, name=run.config.name)
    assert again == run.config
    # It is shown in the place of the sick one.
    assert plain(config.name) in shown(app)
    assert [each.config for each in list_runs()] == [config, run.config]


def test_of_many_diagnoses_three_are_shown_and_the_rest_on_demand() -> None:
    run = sick_run(
        **{"dense_share": 0.6, "dead_share": 0.5, "ce_loss_score": 0.9},
        **{"ce_loss_zero": 2.01, "ce_loss_clean": 2.0, "ce_error": 0.01},
    )
    app = opened(run=run.id)
    assert not app.exception
    # On too little text: the least of the four, and no other text to choose.
    more = next(
        each for each in app.expander if each.label == text("doctor.more", "en", n=1)
    )
    assert "200%" in more.markdown[0].value
    keys = [str(button.key) for button in app.button]
    assert [key for key in keys if key.startswith("train_mend_")] == [
        *("train_mend_meaningless", "train_mend_dead", "train_mend_dense"),
    ]


def test_of_a_healthy_run_the_doctor_says_nothing() -> None:
    for run_id in (sick_run(dense_share=0.05, dead_share=0.01).id, STORYBOOK_SAE):
        app = opened(run=run_id)
        assert text("doctor.title", "en") not in shown(app)
        assert not [b for b in app.button if str(b.key).startswith("train_mend_")]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", ["", *REASONS])
def test_what_computes_the_steps_is_said_and_how_fast_it_is(
    reason: str, language: Language
) -> None:
    run = create_run(TrainConfig())
    name = DENSE if reason else SPARSE
    engine = EngineChoice(name, reason, "torch")
    write_made_with(run, {**engine.to_json(), DENSE_STEP: 0.25})
    with MetricsLog[StepMetrics](run.metrics_path) as log:
        for step in range(LEAST_ROWS):
            log.append(step_row(step=step, step_seconds=0.02))
    write_status(run.path, JobStatus("stopped"))
    found = shown(opened(language, run=run.id))
    assert ("12.5" in found) == (name != DENSE)
    if reason:
        assert text(f"train.engine_why_{reason}", language) in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_held_out_mse_is_in_the_units_of_the_curve(language: Language) -> None:
    run = create_run(TrainConfig())
    figures = {
        **{"ce_loss_score": 0.9, "explained_variance": 0.8, "l0": 27.9, "mse": 723.0},
        **{"kl_div_score": 0.9, "n_dead": 1, "dead_share": 0.1, "d_sae": 10},
        **{"n_dense": 0, "dense_share": 0.0, "ce_loss_sae": 2.0, "n_tokens": 1000},
    }
    write_json(run.path / EVAL_NAME, figures)
    write_status(run.path, JobStatus("done"))
    raw, own = (
        text(f"train.figure_mse{kind}", language) for kind in ("_own_units", "")
    )
    assert raw != own
    assert (raw, "723") in metrics(opened(language, run=run.id))
    write_made_with(run, {ACTIVATION_SCALE: 0.186})
    app = opened(language, run=run.id)
    assert (own, "25") in metrics(app)
    assert "723" in next(m for m in app.metric if m.label == own).help


def metrics(app: AppTest) -> list[tuple[str, str]]:
    return [(metric.label, metric.value) for metric in app.metric]


@pytest.mark.parametrize(
    "made_with", [{"engine": 3}, {"engine": "<b>", "engine_reason": "<b>"}]
)
def test_an_engine_that_is_none_is_not_shown(made_with: dict[str, Any]) -> None:
    run = create_run(TrainConfig())
    write_made_with(run, {"encoder_product": "", DENSE_STEP: "<b>", **made_with})
    write_status(run.path, JobStatus("stopped"))
    assert "<b>" not in shown(opened(run=run.id))


def test_while_the_libraries_load_the_page_looks_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def fragment(draw: object, run_every: float) -> Any:
        assert callable(draw)
        pauses.append(run_every)
        return lambda *_, **__: None

    cold = SimpleNamespace(done=False, stage="libraries")
    monkeypatch.setattr(expected.st, "fragment", fragment)
    monkeypatch.setattr(cache, "warm_up_state", lambda: cold)
    assert expected.show_estimate(TrainConfig(), expected.learning([])) is None
    # After each look Streamlit collects garbage, which keeps imports waiting.
    assert pauses == [cache.LOOK_EVERY_S]
    assert cache.LOOK_EVERY_S >= 5
