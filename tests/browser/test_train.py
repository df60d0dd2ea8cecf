"""A run's life by clicking: stop, resume, delete, undo; all in plain sight."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks import clicks
from benchmarks.clicks import LOADED_MS, answered, button, expect_still
from tests.browser.conftest import Server, visit
from tests.browser.test_main_job import wait_for_rows
from tinysae.config import TrainConfig
from tinysae.runs.live import request_live_index
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import Run, list_runs, start_run
from tinysae.words import text

LIVE_LINK = re.compile(
    re.escape(text("train.explore_live", "en", step="").partition("(")[0])
)

# By its first word: the sentences about settings say "about" as well.
ESTIMATE = re.compile(
    "^" + text("train.estimate", "en", time="", rate="", memory="").partition("*")[0]
)


@pytest.fixture
def run(server: Server, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that would go on for hours, on the server's home."""
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    return start_run(
        TrainConfig(
            name="<b>long</b>",
            model_name=str(tiny_model_dir),
            d_sae=32,
            k=4,
            context_size=16,
            training_tokens=10**9,
            train_batch_size_tokens=64,
            n_batches_in_buffer=4,
            n_batches_for_norm_estimate=3,
            store_batch_size_prompts=4,
        )
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOADED_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def press(page: Page, key: str) -> None:
    """Where nothing runs any more."""
    expect_still(page)
    with answered(page):
        button(page, key).click(timeout=LOADED_MS)


def stop(page: Page, run: Run) -> None:
    """While its progress is drawn anew all the time."""
    clicks.press(button(page, "train.stop"), lambda: not run.status.is_working)
    shows(page, "train.resume")


def shows(page: Page, key: str) -> None:
    expect(button(page, key)).to_be_visible(timeout=LOADED_MS)


def explore_while_it_trains(page: Page, server: Server, run: Run) -> None:
    """Its features so far, one of them watched, and back again."""
    # The button may be gone already: an index comes by itself as well.
    request_live_index(run)
    link = page.get_by_role("link", name=LIVE_LINK)
    expect(link).to_be_visible(timeout=LOADED_MS)
    word = page.get_by_role("textbox", name=text("train.watched_word", "en"))
    # A token of every text that this model reads.
    word.fill("the")
    word.press("Enter")
    expect(page.get_by_text("fires best on “")).to_be_visible(timeout=LOADED_MS)
    clicks.press(link, lambda: "/features" in page.url)
    expect(page.get_by_text("of a training that goes on")).to_be_visible(
        timeout=LOADED_MS
    )
    expect(page.locator(".card").first).to_be_visible(timeout=LOADED_MS)
    assert f"run={run.id}" in page.evaluate("location.search")
    page.goto(f"{server.url}/train?run={run.id}")


@pytest.mark.slow
def test_a_run_is_stopped_resumed_deleted_and_brought_back(
    server: Server, run: Run, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/train?run={run.id}")
        wait_for_rows(run, 5)
        explore_while_it_trains(page, server, run)
        stop(page, run)
        steps = len(read_metrics(run.metrics_path).rows)
        until(lambda: run.status.state == "stopped")
        # The form says what its run would take as soon as that is measured: what lies
        # under it moves then, and a click on it may miss.
        expect(page.get_by_text(ESTIMATE)).to_be_visible(timeout=LOADED_MS)
        expect_still(page)

        # What was drawn before may stay for a moment: files say when it works again.
        clicks.press(button(page, "train.resume"), lambda: run.status.is_working)
        wait_for_rows(run, steps + 5)
        # Another run waits for this one, and can be taken back.
        waiting = page.get_by_text(text("train.waits_for", "en", n=1))
        clicks.press(button(page, "train.start"), waiting.is_visible)
        (other,) = [each for each in list_runs() if each.id != run.id]
        stop(page, other)

        page.goto(f"{server.url}/train?run={run.id}")
        stop(page, run)
        until(lambda: run.status.state == "stopped")
        press(page, "train.delete")
        shows(page, "train.undo")
        assert not run.path.exists()
        press(page, "train.undo")
        expect(page).to_have_url(re.compile(run.id), timeout=LOADED_MS)
        expect(button(page, "train.undo")).to_have_count(0, timeout=LOADED_MS)
        assert run.path.is_dir()
        reader.assert_clean()
