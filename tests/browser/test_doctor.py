"""A sick run, found from home: what is wrong with it is read, and mended by a click."""

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.clicks import LOADED_MS, button, expect_still, go_to, press
from tests.app.test_train_run import sick_run
from tests.browser.conftest import Server, visit
from tests.unit.test_worker import wait_for
from tinysae.runs.store import list_runs


def test_a_sick_run_is_read_and_mended_from_home(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    sick = sick_run(dense_share=0.6)
    with visit(browser) as reader:
        page = reader.page
        page.goto(server.url)
        go_to(page, "train")
        said = page.locator(".st-key-train_doctor")
        expect(said).to_contain_text("60%", timeout=LOADED_MS)
        expect(said).to_contain_text("k 24 → 10")
        expect_still(page)
        press(button(page, "doctor.mend"), lambda: len(list_runs()) == 2)
        better = next(run for run in list_runs() if run.id != sick.id)
        assert better.config.k == 10
        # It works, in the sick one's place.
        expect(said).to_have_count(0, timeout=LOADED_MS)
        expect(button(page, "train.stop")).to_be_visible(timeout=LOADED_MS)
        wait_for(lambda: better.status.state == "training", "the mended run")
        reader.assert_clean()
