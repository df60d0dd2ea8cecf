import re
import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import PATIENCE_S
from tinysae.config import TrainConfig
from tinysae.jobs.files import write_json
from tinysae.jobs.job import TOOK_NAME
from tinysae.jobs.status import JobStatus, write_status
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.presets import PRESETS
from tinysae.runs.store import create_run, list_runs
from tinysae.sae.estimate import Speed
from tinysae.ui.shell import cache
from tinysae.ui.shell.choice import Choice
from tinysae.ui.shell.page import plain
from tinysae.ui.train import expected
from tinysae.words import LANGUAGES, Language, text

HOME = Path(__file__).parents[2] / "app.py"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))


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
    took = {"training": 1e3, "n_tokens": 10**5 * 2, "peak_memory_bytes": 31 * 10**8}
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
