"""A sweep by clicking: four trainings started, watched, stopped, gone on."""

from operator import gt

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.clicks import LOADED_MS, button, expect_still, press
from tests.browser.conftest import Server, visit
from tests.unit.test_worker import wait_for
from tinysae.config import TrainConfig
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import create_run
from tinysae.runs.sweep import Sweep, list_sweeps
from tinysae.words import text

# Of four small trainings to their end, on a machine on which much else goes on.
ALL_MS = 15 * 60_000
CURVE = ".js-plotly-plot"


@pytest.fixture
def base(server: Server, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A run's settings to begin from: small, and long enough to be watched."""
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    config = TrainConfig(
        architecture="standard",
        name="small",
        d_sae=64,
        context_size=64,
        training_tokens=1500 * 1024,
        train_batch_size_tokens=1024,
        n_batches_for_norm_estimate=4,
    )
    write_status(create_run(config).path, JobStatus("stopped"))
    return config


def choose_base(page: Page, title: str) -> None:
    box = page.get_by_role("combobox", name=text("sweep.base", "en"))
    expect(box).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    box.click()
    page.get_by_role("option", name=title).click()
    expect_still(page)


def stops(page: Page) -> Locator:
    return page.locator(".st-key-sweep_rows").get_by_role(
        "button", name=text("train.stop", "en"), exact=True
    )


@pytest.mark.slow
def test_four_trainings_are_started_watched_stopped_and_gone_on(
    server: Server, browser: Browser, base: TrainConfig
) -> None:
    with visit(browser, width=1440, height=900) as reader:
        page = reader.page
        page.goto(f"{server.url}/experiments?view=sweep")
        choose_base(page, base.title)
        values = page.get_by_role("textbox", name=text("sweep.values", "en")).first
        values.fill("1..8 x2")
        values.press("Enter")
        trainings = text("sweep.once", "en")
        expect(page.get_by_text(f"4 trainings; {trainings}")).to_be_visible()
        press(button(page, "sweep.start"), lambda: bool(list_sweeps()))
        (sweep,) = list_sweeps()
        expect(stops(page)).to_have_count(4, timeout=ALL_MS)
        page.wait_for_function(
            f"document.querySelector('{CURVE}')?.data?.length === 4", timeout=ALL_MS
        )
        expect(page.get_by_text("side by side")).to_be_visible()

        # One alone, then all.
        first = sweep.points()[0]
        press(
            stops(page).first,
            lambda: first.stop_requested or not first.status.is_working,
        )
        expect(stops(page)).to_have_count(3, timeout=ALL_MS)
        # Asked, its button goes at once; it stops after its step.
        wait_for(lambda: first.status.state == "stopped", "its last word")
        press(button(page, "sweep.stop_all"), lambda: not sweep.status.is_working)
        go_on = button(page, "sweep.go_on")
        expect(go_on).to_be_visible(timeout=ALL_MS)
        assert states(sweep) == {"stopped"}
        kept = n_rows(sweep)
        assert all(0 < n < base.total_training_steps for n in kept)

        # From where they left off; that they end as alone is tested without pages.
        press(go_on, lambda: sweep.status.is_working)
        wait_for(lambda: all(map(gt, n_rows(sweep), kept)), "more steps of all")
        press(button(page, "sweep.stop_all"), lambda: not sweep.status.is_working)
        expect(go_on).to_be_visible(timeout=ALL_MS)
        page.get_by_role("link", name=text("sweep.open", "en")).first.click()
        expect(page).to_have_url(f"{server.url}/train?run={first.id}")
        reader.assert_clean()


def n_rows(sweep: Sweep) -> list[int]:
    return [len(read_metrics(run.metrics_path).rows) for run in sweep.points()]


def states(sweep: Sweep) -> set[str]:
    return {run.status.state for run in sweep.points()}
