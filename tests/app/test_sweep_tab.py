"""The tab Sweep of the page Experiments, without a browser."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.builders import step_row, working
from tests.conftest import OpenPage
from tests.unit.tiny_model import N_CTX
from tinysae.config import TrainConfig
from tinysae.jobs import launch
from tinysae.jobs.job import Job
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs.metrics import MetricsLog
from tinysae.runs.store import create_run
from tinysae.runs.sweep import Sweep, create_sweep, list_sweeps
from tinysae.sae.rows import StepMetrics
from tinysae.words import LANGUAGES, Language, text

PAGE = "pages/experiments.py"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Job, str]]:
    """What was launched; nothing is."""
    found: list[tuple[Job, str]] = []
    monkeypatch.setattr(launch, "launch", lambda *what: found.append(what))
    return found


def some_sweep(**base: object) -> Sweep:
    config = TrainConfig(architecture="standard", **base)  # type: ignore[arg-type]
    return create_sweep(config, {"l1_coefficient": [1.0, 5.0, 20.0]})


def with_rows(sweep: Sweep) -> None:
    for n, run in enumerate(sweep.points()):
        with MetricsLog[StepMetrics](run.metrics_path) as log:
            for step in range(20):
                log.append(step_row(step=step, n_tokens=64 * (step + 1), mse=50.0 - n))


def said_on(page: AppTest) -> str:
    """Its text, as it is read: without what keeps Markdown from reading it."""
    said = " ".join(each.value for each in (*page.caption, *page.markdown))
    return said.replace("\\", "")


def buttons(page: AppTest) -> dict[str, str]:
    return {str(each.key): each.label for each in page.button}


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_opens_with_a_form_and_a_real_curve(
    open_page: OpenPage, language: Language
) -> None:
    page = open_page(PAGE, view="sweep", language=language)
    assert not page.exception
    assert not page.error
    assert page.button(key="sweep_start").label == text("sweep.start", language)
    assert text("sweep.none", language) in said_on(page)


def test_start_makes_the_sweep_that_was_typed_and_shows_it(
    open_page: OpenPage, started: list[tuple[Job, str]]
) -> None:
    page = open_page(PAGE, view="sweep")
    (values,) = (e for e in page.text_input if "_k" in str(e.key))
    values.set_value("4, 8, 16").run()
    page.button(key="sweep_start").click().run()
    assert not page.exception
    (sweep,) = list_sweeps()
    assert [run.config.k for run in sweep.points()] == [4.0, 8.0, 16.0]
    assert [(job.id, command) for job, command in started] == [(sweep.id, "sweep")]
    assert page.query_params["sweep"] == sweep.id


def test_no_setting_has_two_axes(open_page: OpenPage) -> None:
    page = open_page(PAGE, view="sweep")

    def axes() -> list[Any]:
        return [e for e in page.selectbox if "sweep_axis_" in str(e.key)]

    first, second = axes()
    assert first.value == "k"
    assert "k" not in [option.split()[-1].strip("()") for option in second.options]
    second.set_value("lr").run()
    axes()[0].set_value("lr").run()
    assert not page.exception
    first, second = axes()
    assert (first.value, second.value) == ("lr", "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "No values"),
        ("one", "cannot be read"),
        ("4", "1 training"),
        ("4, 600", "k is 600"),
        ("1..1e9 +1", "2 to 64"),
        ("<b>x</b>", "cannot be read"),
    ],
)
def test_what_cannot_be_started_says_why(
    typed: str, said: str, open_page: OpenPage
) -> None:
    page = open_page(PAGE, view="sweep")
    (values,) = (e for e in page.text_input if "_k" in str(e.key))
    values.set_value(typed).run()
    assert not page.exception
    (told,) = page.info
    assert said in told.value.replace("\\", "")
    assert page.button(key="sweep_start").disabled
    assert not list_sweeps()


def test_a_sweep_at_work_is_watched_and_stopped(open_page: OpenPage) -> None:
    sweep = some_sweep()
    with_rows(sweep)
    first, second, _ = sweep.points()
    with working(first), working(second), working(sweep):  # type: ignore[arg-type]
        page = open_page(PAGE, view="sweep")
        assert not page.exception
        keys = buttons(page)
        assert {"sweep_stop_all", f"sweep_stop_{first.id}"} <= keys.keys()
        assert "sweep_go_on" not in keys
        page.button(key=f"sweep_stop_{second.id}").click().run()
        assert second.stop_requested
        assert not first.stop_requested
        page.button(key="sweep_stop_all").click().run()
        assert sweep.stop_requested
        assert not page.exception


def test_what_waits_for_the_sweep_is_not_called_stopped(open_page: OpenPage) -> None:
    sweep = some_sweep()
    first, second, _ = sweep.points()
    second.request_stop()
    with working(sweep, "queued"):  # type: ignore[arg-type]
        page = open_page(PAGE, view="sweep")
        assert not page.exception
        said = " ".join(str(each.proto) for each in page.get("html"))
        assert said.count(text("train.state_queued", "en")) == 2
        assert said.count(text("train.state_stopped", "en")) == 1
    assert first.status.state == "stopped"


def test_points_are_called_by_what_differs(open_page: OpenPage) -> None:
    base = TrainConfig(architecture="standard")
    axes = {"l1_coefficient": [1.0, 5.0], "training_tokens": [2_000_000]}
    with_rows(create_sweep(base, axes))
    page = open_page(PAGE, view="sweep")
    assert "from 49 (l1_coefficient 5) to 50 (l1_coefficient 1)" in said_on(page)


def test_another_architecture_has_other_settings_to_vary(
    open_page: OpenPage, started: list[tuple[Job, str]]
) -> None:
    page = open_page(PAGE, view="sweep")
    (box,) = (e for e in page.selectbox if "sweep_architecture" in str(e.key))
    box.set_value("standard").run()
    (values,) = (e for e in page.text_input if "_l1_coefficient" in str(e.key))
    values.set_value("1, 2").run()
    page.button(key="sweep_start").click().run()
    assert not page.exception
    (sweep,) = list_sweeps()
    assert len(started) == 1
    runs = [run.config for run in sweep.points()]
    assert [run.l1_coefficient for run in runs] == [1.0, 2.0]
    assert {run.architecture for run in runs} == {"standard"}


def test_a_failed_sweep_says_why(open_page: OpenPage) -> None:
    sweep = some_sweep()
    values = {"field": "context_size", "value": 256, "low": 2, "high": 64}
    failed = JobStatus("failed", error="error.setting_range", error_values=values)
    write_status(sweep.path, failed)
    page = open_page(PAGE, view="sweep")
    assert not page.exception
    (told,) = page.error
    assert "256" in told.value


@pytest.mark.usefixtures("warm")
def test_contexts_are_no_longer_than_the_model_reads(
    open_page: OpenPage,
    started: list[tuple[Job, str]],
    tiny_model_dir: Path,
) -> None:
    run = create_run(TrainConfig(model_name=str(tiny_model_dir)))
    write_status(run.path, JobStatus("stopped"))
    page = open_page(PAGE, view="sweep", run=run.id)
    page.button(key="sweep_start").click().run()
    assert not page.exception
    (sweep,) = list_sweeps()
    assert len(started) == 1
    assert sweep.base.model_name == str(tiny_model_dir)
    assert {each.config.context_size for each in sweep.points()} == {N_CTX}


def test_a_stopped_sweep_goes_on(
    open_page: OpenPage, started: list[tuple[Job, str]]
) -> None:
    sweep = some_sweep()
    with_rows(sweep)
    page = open_page(PAGE, view="sweep", sweep=sweep.id)
    shown = "from 48 (l1_coefficient 20) to 50 (l1_coefficient 1)"
    assert shown in said_on(page)
    page.button(key="sweep_go_on").click().run()
    assert [(job.id, command) for job, command in started] == [(sweep.id, "sweep")]


def test_a_sweep_that_is_done_offers_nothing_to_go_on_with(
    open_page: OpenPage,
) -> None:
    sweep = some_sweep()
    for job in (sweep, *sweep.points()):
        write_status(job.path, JobStatus("done"))
    page = open_page(PAGE, view="sweep")
    assert not page.exception
    assert not {"sweep_go_on", "sweep_stop_all"} & buttons(page).keys()


@pytest.mark.parametrize("sweep", ["nope", "../x", "x" * 300])
def test_a_link_to_no_sweep_shows_another(sweep: str, open_page: OpenPage) -> None:
    some_sweep()
    page = open_page(PAGE, view="sweep", sweep=sweep)
    assert not page.exception
    assert not page.error


def test_a_hostile_name_and_a_damaged_sweep_leave_the_page_standing(
    open_page: OpenPage,
) -> None:
    hostile = some_sweep(name="</script><script>alert(1)</script> **b** $x$")
    with_rows(hostile)
    damaged = some_sweep()
    Path(damaged.path / "sweep.json").write_text("{", encoding="utf-8")
    page = open_page(PAGE, view="sweep")
    assert not page.exception
    assert list(list_sweeps()) == [hostile]


def test_many_points_scroll(open_page: OpenPage) -> None:
    base = TrainConfig(architecture="standard")
    sweep = create_sweep(base, {"l1_coefficient": [float(n) for n in range(1, 41)]})
    with_rows(sweep)
    page = open_page(PAGE, view="sweep")
    assert not page.exception
