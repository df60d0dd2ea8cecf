"""The page Experiments in a browser: a point is clicked, a row is ticked."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.asked import answered, expect_still
from benchmarks.browser import Server, visit
from benchmarks.clicks import LOADED_MS
from tests.builders import step_row
from tinysae.config import TrainConfig
from tinysae.jobs.files import write_json
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.runs.metrics import MetricsLog
from tinysae.runs.store import EVAL_NAME, Run, create_run
from tinysae.sae.rows import StepMetrics
from tinysae.words import text

PICTURE = ".st-key-experiments_frontier .js-plotly-plot"
# Where the canvas that draws a table has its boxes to tick, and how high a row is.
CHECKBOX_PX, ROW_PX = 17, 35


@pytest.fixture
def runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """A sweep of two, of the shipped SAE's place and text."""
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    made = []
    for l0, score in ((8.0, 0.9), (60.0, 0.95)):
        run = create_run(TrainConfig(hook_name="blocks.0.hook_resid_mid", k=l0))
        write_json(run.path / EVAL_NAME, {"l0": l0, "ce_loss_score": score})
        with MetricsLog[StepMetrics](run.metrics_path) as log:
            for step in range(3):
                log.append(step_row(step=step, n_tokens=1000 * (step + 1)))
        write_status(run.path, JobStatus("done"))
        made.append(run)
    return made


def place_of(page: Page, l0: float) -> tuple[float, float]:
    """Where on the window the point with that L0 is."""
    found: Any = page.locator(PICTURE).evaluate(
        """(chart, l0) => {
          const { xaxis, yaxis } = chart._fullLayout;
          const box = chart.getBoundingClientRect(), dots = chart.data.at(-1);
          const at = dots.x.findIndex((x) => Math.abs(x - l0) < .2);
          return [box.left + xaxis._offset + xaxis.d2p(dots.x[at]),
                  box.top + yaxis._offset + yaxis.d2p(dots.y[at])];
        }""",
        l0,
    )
    return found[0], found[1]


def test_a_clicked_point_is_chosen_and_leads_to_its_features(
    server: Server, browser: Browser, runs: list[Run]
) -> None:
    with visit(browser, width=1440, height=900) as reader:
        page = reader.page
        page.goto(f"{server.url}/experiments?run={runs[1].id}")
        expect(page.locator(f"{PICTURE} .plot-container")).to_be_visible(
            timeout=LOADED_MS
        )
        expect_still(page)
        beside = page.locator(".st-key-experiments_beside")
        before = page.locator(PICTURE).bounding_box()
        # The shipped SAE's L0.
        with answered(page):
            page.mouse.click(*place_of(page, 24.1))
        name = text("features.embedded", "en")
        expect(beside.get_by_text(name, exact=True)).to_be_visible(timeout=LOADED_MS)
        expect(page).to_have_url(re.compile(f"run={STORYBOOK_SAE}"))
        expect_still(page)
        assert page.locator(PICTURE).bounding_box() == before
        beside.get_by_role("link", name=text("experiments.to_features", "en")).click()
        heading = page.get_by_role(
            "heading", name=text("features.title", "en"), level=1
        )
        expect(heading).to_be_visible(timeout=LOADED_MS)
        reader.assert_clean()


def test_ticked_rows_draw_curves_by_what_differs(
    server: Server, browser: Browser, runs: list[Run]
) -> None:
    assert len(runs) == 2
    with visit(browser, width=1440, height=900) as reader:
        page = reader.page
        page.goto(f"{server.url}/experiments?view=runs")
        table = page.get_by_test_id("stDataFrame").first
        expect(table).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        for row in (0, 1):
            with answered(page):
                at = ROW_PX * (row + 1) + ROW_PX // 2
                table.click(position={"x": CHECKBOX_PX, "y": at})
        legend = page.locator(".st-key-train_legend")
        expect(legend).to_contain_text("(k 60)", timeout=LOADED_MS)
        expect(legend).to_contain_text("(k 8)", timeout=LOADED_MS)
        reader.assert_clean()


def test_a_ticked_pair_leads_to_either_ones_feature(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=1440, height=900) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/experiments?view=face")
        table = page.get_by_test_id("stDataFrame").first
        expect(table).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        with answered(page):
            table.click(position={"x": CHECKBOX_PX, "y": ROW_PX * 3 // 2})
        links = page.locator(".st-key-experiments_pair a")
        expect(links).to_have_count(2, timeout=LOADED_MS)
        links.last.click()
        expect(page).to_have_url(re.compile("/features.*feature="), timeout=LOADED_MS)
        reader.assert_clean()
