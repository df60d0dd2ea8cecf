"""The table of runs: ticking rows lays their curves over each other, in place."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.clicks import LOADED_MS, answered, button, expect_still
from tests.browser.conftest import Server, visit
from tinysae.config import TrainConfig
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs.metrics import MetricsLog
from tinysae.runs.store import create_run, list_runs
from tinysae.sae.rows import StepMetrics
from tinysae.words import text

ROW = StepMetrics(
    step=0,
    n_tokens=1000,
    mse=9.0,
    l1=3.0,
    loss=12.0,
    l0=20.0,
    explained_variance=0.4,
    n_dead=2,
    lr=1e-3,
)
CURVE = ".js-plotly-plot"
CHECKBOX_PX = 16


@pytest.fixture
def two_runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    for name in ("first", "second"):
        run = create_run(TrainConfig(name=name))
        with MetricsLog[StepMetrics](run.metrics_path) as log:
            for step in range(3):
                log.append({**ROW, "step": step, "n_tokens": 1000 * (step + 1)})
        write_status(run.path, JobStatus("done"))


def test_a_phone_shows_what_to_do_with_a_run_that_has_no_curve(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    run = create_run(TrainConfig(name="early"))
    write_status(run.path, JobStatus("stopped"))
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        page.goto(f"{server.url}/train?run={run.id}")
        none = page.get_by_text(text("train.curve_none", "en"))
        expect(none).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        expect(button(page, "train.resume")).to_be_visible()
        expect(button(page, "train.delete")).to_be_visible()


@pytest.mark.usefixtures("two_runs")
def test_a_phone_offers_undo_where_delete_was_pressed(
    server: Server, browser: Browser
) -> None:
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        page.goto(f"{server.url}/train")
        delete = button(page, "train.delete")
        expect(delete).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        delete.click()
        undo = button(page, "train.undo")
        expect(undo).to_be_in_viewport(timeout=LOADED_MS)
        undo.click()
        expect(undo).to_have_count(0, timeout=LOADED_MS)
        assert len(list_runs()) == 2
        reader.assert_clean()


def tick(page: Page, row: int) -> None:
    """A canvas draws the table: its rows are places on it."""
    table = page.locator(".st-key-train_runs").get_by_test_id("stDataFrame")
    with answered(page):
        table.click(position={"x": CHECKBOX_PX, "y": 35 * (row + 1) + 18})


@pytest.mark.usefixtures("two_runs")
def test_ticking_runs_lays_their_curves_over_each_other_without_a_new_chart(
    server: Server, browser: Browser
) -> None:
    with visit(browser, width=1440, height=900) as reader:
        page = reader.page
        page.goto(f"{server.url}/train")
        mse = page.locator(CURVE).first
        expect(mse).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        page.evaluate(f"window.node = document.querySelector('{CURVE}')")
        before = mse.bounding_box()
        tick(page, 0)
        # The only one that is ticked is the one that is shown.
        expect(page).to_have_url(re.compile("run="), timeout=LOADED_MS)
        tick(page, 1)
        page.wait_for_function("window.node.data.length === 2", timeout=LOADED_MS)
        assert mse.evaluate("chart => chart === window.node")
        assert mse.bounding_box() == before
        reader.assert_clean()
