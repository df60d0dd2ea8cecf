"""The main job on a fresh server: from a prompt to a feature of one's own SAE."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.browser import start_server, visit
from benchmarks.clicks import (
    LOADED_MS,
    answered,
    button,
    expect_curves,
    expect_still,
    go_to,
    open_first_feature,
    write_a_story,
)
from benchmarks.tour import tour
from tinysae.config import settings
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import Run, open_run
from tinysae.words import text

# Training, evaluation and index; generous, for a busy machine.
RUN_S = 1200
NAME = "<img src=x onerror=alert(1)>"
# Smaller than the "Look" preset, so that the test takes a minute: same path.
CHANGES = {"training_tokens": 250_000, "d_sae": 256}


def fill_setting(page: Page, field: str, value: int) -> None:
    tab = text(f"train.group_{settings()[field].group}", "en")
    expect_still(page)
    page.get_by_role("tab", name=tab).click()
    box = page.get_by_role("spinbutton", name=re.compile(rf"\({field}\)"))
    box.fill(str(value))
    with answered(page):
        box.press("Enter")


def start_training(page: Page, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    expect_still(page)
    button(page, "train.more").click()
    for field, value in CHANGES.items():
        fill_setting(page, field, value)
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill(NAME)
    with answered(page):
        name.press("Enter")
    button(page, "train.start").click()
    expect(button(page, "train.stop")).to_be_visible(timeout=LOADED_MS)
    monkeypatch.setenv("TINYSAE_HOME", str(home))
    (folder,) = [path for path in (home / "runs").iterdir() if path.is_dir()]
    run = open_run(folder.name)
    assert run.config.name == NAME
    assert {name: getattr(run.config, name) for name in CHANGES} == CHANGES
    return run


def wait_for_rows(run: Run, n: int) -> None:
    deadline = time.monotonic() + RUN_S
    while len(read_metrics(run.metrics_path).rows) < n:
        assert run.status.is_working, run.log_path.read_text()
        assert time.monotonic() < deadline
        # The worker tells its progress in files only.
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_from_a_prompt_to_a_feature_of_the_sae_just_trained(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    server = start_server(home, tmp_path / "server.log")
    try:
        with visit(browser) as reader:
            page = reader.page
            page.goto(server.url)
            go_to(page, "playground")
            write_a_story(page)
            go_to(page, "train")
            run = start_training(page, home, monkeypatch)
            wait_for_rows(run, 5)
            expect_curves(page)
            # The same node must still be there when more points have come.
            chart = page.locator(".js-plotly-plot").first
            chart.evaluate("node => { node.dataset.seen = 'yes' }")
            wait_for_rows(run, 20)
            expect(chart).to_have_attribute("data-seen", "yes")
            page.reload()
            expect_curves(page)
            reader.assert_clean()

        # Nobody is looking, and the server goes and comes back: the run goes on.
        server.stop()
        assert run.status.is_working
        server = start_server(home, tmp_path / "server.log")
        deadline = time.monotonic() + RUN_S
        while run.status.is_working:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert run.status.state == "done", run.log_path.read_text()

        with visit(browser) as reader:
            page = reader.page
            page.goto(server.url)
            go_to(page, "train")
            figures = page.get_by_test_id("stMetric")
            expect(figures).to_have_count(8, timeout=LOADED_MS)
            expect_curves(page)
            open_first_feature(page)
            assert f"run={run.id}" in page.evaluate("location.search")
            reader.assert_clean()
        tour(server, browser, run.id)
    finally:
        server.stop()
