import json
import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.builders import finished_run, step_row, working, write_model
from tests.conftest import PATIENCE_S
from tinysae.config import TrainConfig
from tinysae.jobs import launch, turns
from tinysae.jobs.files import write_json
from tinysae.jobs.job import TOOK_NAME
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.presets import PRESETS
from tinysae.render.numbers import NO_FIGURE
from tinysae.render.visible import shortened
from tinysae.runs import trash
from tinysae.runs.metrics import MetricsLog, read_metrics
from tinysae.runs.store import EVAL_NAME, Run, create_run, list_runs, write_made_with
from tinysae.sae.estimate import Speed
from tinysae.sae.rows import ACTIVATION_SCALE, StepMetrics
from tinysae.sae.step.engine import DENSE, DENSE_STEP, REASONS, SPARSE, EngineChoice
from tinysae.ui.shell import cache
from tinysae.ui.shell.choice import Choice
from tinysae.ui.shell.page import plain
from tinysae.ui.train import expected
from tinysae.ui.train import run as run_view
from tinysae.ui.train.curves import LEAST_ROWS
from tinysae.ui.train.runs_table import NAME_LETTERS
from tinysae.words import LANGUAGES, Language, text

HOME = Path(__file__).parents[2] / "app.py"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))


@pytest.fixture(scope="session")
def hostile_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """What the page asked to start; no worker is, and the run is made."""
    configs: list[TrainConfig] = []

    def launched(run: Run, command: str) -> None:
        assert command == "train"
        configs.append(run.config)

    monkeypatch.setattr(launch, "launch", launched)
    return configs


def opened(language: Language = "en", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(HOME), default_timeout=PATIENCE_S)
    app.switch_page("pages/train.py")
    for name, value in {"lang": language, **parameters}.items():
        app.query_params[name] = value
    return app.run()


def shown(app: AppTest) -> str:
    """Every text on the page that a person reads as a sentence."""
    assert not app.exception
    kinds = (app.markdown, app.error, app.warning, app.info, app.caption)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def listed(app: AppTest) -> list[str]:
    """The runs of the table, without the mark of the one that is shown."""
    table = next(table.value for table in app.dataframe if "name" in table.value)
    mark = "\N{BLACK RIGHT-POINTING TRIANGLE} "
    return [name.removeprefix(mark) for name in table["name"]]


def press(app: AppTest, key: str, language: Language = "en") -> AppTest:
    label = text(key, language)
    return next(b for b in app.button if b.label == label).click().run()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_page_says_what_to_do_next(language: Language) -> None:
    app = opened(language)
    assert app.title[0].value == text("train.title", language)
    assert text("train.no_runs", language).split(".")[0] in shown(app)


def test_who_came_from_a_lesson_finds_the_way_back_after_the_start(
    started: list[TrainConfig],
) -> None:
    app = press(opened("en", **{"from": "train.2"}), "train.start")
    assert started
    (run,) = list_runs()
    (back,) = [
        link.proto.query_string
        for link in app.get("page_link")
        if "step=2" in link.proto.query_string
    ]
    assert "lesson=train" in back
    assert f"run={run.id}" in back


@pytest.mark.parametrize("language", LANGUAGES)
def test_start_launches_what_the_form_says(
    language: Language, started: list[TrainConfig]
) -> None:
    app = opened(language)
    app.number_input(key="look_d_sae").set_value(512)
    app.text_input(key="look_name").set_value("<b>mine</b>")
    press(app, "train.start", language)
    assert not app.exception
    (config,) = started
    assert (config.d_sae, config.name) == (512, "<b>mine</b>")
    assert list_runs()[0].config == config
    assert app.query_params["run"] == list_runs()[0].id


def test_the_architecture_chooses_its_settings(started: list[TrainConfig]) -> None:
    app = opened()
    app.selectbox(key="look_architecture").set_value("batchtopk").run()
    keys = {widget.key for widget in app.number_input}
    assert "look_k" in keys
    assert "look_l1_coefficient" not in keys
    app.number_input(key="look_k").set_value(7.0)
    press(app, "train.start")
    assert (started[0].architecture, started[0].k) == ("batchtopk", 7.0)


def test_another_preset_fills_the_form_with_its_values() -> None:
    app = opened()
    app.radio(key="train_preset").set_value("good").run()
    assert app.number_input(key="good_training_tokens").value == 3_000_000


@pytest.mark.parametrize(
    ("key", "value"),
    [("look_lr", float("nan")), ("look_d_sae", -3), ("look_training_tokens", 10**15)],
)
def test_a_value_forged_past_its_widget_never_reaches_a_run(
    key: str, value: Any, started: list[TrainConfig]
) -> None:
    app = opened()
    before = app.number_input(key=key).value
    app.number_input(key=key).set_value(value)
    press(app, "train.start")
    assert not app.exception
    assert [getattr(config, key.removeprefix("look_")) for config in started] in (
        [],
        [before],
    )


def test_settings_that_contradict_each_other_are_a_sentence(
    started: list[TrainConfig],
) -> None:
    app = opened()
    app.number_input(key="look_train_batch_size_tokens").set_value(100_000)
    app.number_input(key="look_training_tokens").set_value(1000)
    press(app, "train.start")
    # `plain` escapes the underscore.
    assert "training_tokens is 1000" in app.error[0].value.replace("\\", "")
    assert not started
    assert list_runs() == []


def test_fewer_tokens_need_no_other_setting(started: list[TrainConfig]) -> None:
    app = opened()
    app.number_input(key="look_training_tokens").set_value(40_000).run()
    press(app, "train.start")
    assert not app.error
    (config,) = started
    # A fifth of the 156 steps, as of those of the preset.
    assert (config.training_tokens, config.lr_decay_steps) == (40_000, 31)


def test_a_context_is_no_longer_than_the_model_can_read(
    hostile_model_dir: Path, started: list[TrainConfig]
) -> None:
    assert cache.loaded_model(STORYBOOK).n_ctx == 256
    app = opened()
    assert app.number_input(key="look_context_size").value == 256
    app.session_state["shell.choice"] = Choice(model=str(hostile_model_dir))
    app.run()
    n_ctx = load_model(str(hostile_model_dir)).n_ctx
    assert n_ctx < 256
    assert app.number_input(key="look_context_size").value == n_ctx
    press(app, "train.start")
    assert [config.context_size for config in started] == [n_ctx]


def test_each_model_keeps_the_hook_that_was_chosen_for_it(
    hostile_model_dir: Path, started: list[TrainConfig]
) -> None:
    cache.loaded_model(STORYBOOK)
    best = PRESETS[0].config.hook_name
    app = opened()
    run_warm(app)
    assert app.selectbox(key=f"look_hook_name_{STORYBOOK}").value == best
    other = str(hostile_model_dir)
    app.session_state["shell.choice"] = Choice(model=other)
    app.run()
    hook = app.selectbox(key=f"look_hook_name_{other}")
    assert hook.value == TrainConfig().hook_name != best
    app.session_state["shell.choice"] = Choice(model=STORYBOOK)
    app.run()
    press(app, "train.start")
    assert [config.hook_name for config in started] == [best]


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


def run_warm(app: AppTest) -> None:
    """Once more, when the model that warms up in the background is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not cache.warm_up_state().done:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    app.run()


def test_memory_that_is_not_there_is_refused_before_work_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "speed", lambda *_: Speed(1e11, 1e10, 1e4, 2))
    app = opened()
    run_warm(app)
    assert any("GB" in markdown.value for markdown in app.markdown)
    app.number_input(key="look_d_sae").set_value(2**20)
    app.number_input(key="look_train_batch_size_tokens").set_value(4096)
    app.number_input(key="look_n_batches_in_buffer").set_value(4096).run()
    assert "GB" in app.error[0].value
    assert app.button(key="train_start").disabled


def test_an_estimate_learns_from_what_earlier_runs_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "speed", lambda *_: Speed(1e11, 1e10, 1e4, 2))
    monkeypatch.setattr(expected, "busy_cores", lambda: 0.0)
    app = opened()
    run_warm(app)
    before = shown(app)
    run = create_run(
        PRESETS[0].config,
        {"tokens_per_s": (900, 1100), "seconds": (9, 11), "memory_bytes": 10**9},
    )
    took = {"training": 60.0, "n_tokens": 6000, "peak_memory_bytes": 31 * 10**8}
    write_json(run.path / TOOK_NAME, took)
    write_status(run.path, JobStatus("done"))
    after = shown(opened())
    assert said_gigabytes(after) == pytest.approx(said_gigabytes(before) + 2.1)
    monkeypatch.setattr(expected, "busy_cores", lambda: 1.6)
    busy = text("train.estimate_busy", "en", n=2, cores=2)
    assert busy not in after
    assert busy in shown(opened())


def said_gigabytes(said: str) -> float:
    found = re.search(r"([0-9.]+) GB", said)
    assert found
    return float(found[1])


def test_the_expansion_factor_is_another_way_to_say_d_sae(
    started: list[TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "speed", lambda *_: Speed(1e11, 1e10, 1e4, 2))
    app = opened()
    run_warm(app)
    d_sae = PRESETS[0].config.d_sae
    key = f"look_expansion_factor_{d_sae}"
    assert app.selectbox(key=key).value == d_sae // 256
    app.selectbox(key=key).set_value(8).run()
    assert app.number_input(key="look_d_sae").value == 8 * 256
    press(app, "train.start")
    assert started[0].d_sae == 8 * 256
    assert list_runs()[0].estimate() is not None


def test_a_file_of_ones_own_is_trained_on(
    started: list[TrainConfig], tmp_path: Path
) -> None:
    app = opened()
    app.segmented_control(key="look_text_kind").set_value("local").run()
    assert plain(text("texts.none_yet", "en")) in shown(app)
    field = app.text_input(key="look_dataset_path_local")
    field.set_value(str(tmp_path / "none.txt")).run()
    assert "There is no file or folder" in shown(app).replace("\\", "")
    (tmp_path / "cats.txt").write_text("The cat sat.\n\n" * 900)
    app.text_input(key="look_dataset_path_local").set_value(
        str(tmp_path / "cats.txt")
    ).run()
    press(app, "train.start")
    assert [config.dataset_path for config in started] == [str(tmp_path / "cats.txt")]


def test_a_pasted_text_is_kept_and_looked_at(
    started: list[TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "speed", lambda *_: Speed(1e11, 1e10, 1e4, 2))
    app = opened()
    run_warm(app)
    app.segmented_control(key="look_text_kind").set_value("pasted").run()
    app.text_area(key="look_pasted").set_value("**Lily** saw a dog.\n\n" * 400).run()
    press(app, "texts.preview", "en")
    assert text("texts.first_rows", "en") in shown(app)
    assert any("**Lily** saw a dog." in row.value for row in app.text)
    press(app, "train.start", "en")
    (file,) = (tmp_path / "texts").iterdir()
    assert [config.dataset_path for config in started] == [f"pasted:{file.stem}"]
