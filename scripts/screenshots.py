"""Take the pictures of `docs/screenshots`: every page, in both languages and themes.

    make screenshots

Trains a small SAE first, which takes a minute. Fonts are the machine's own: one without
Korean letters draws boxes in their place.
"""

import os
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from benchmarks.browser import ROOT, Server, launch_chromium, start_server, visit
from benchmarks.clicks import button, expect_curves
from benchmarks.tour import tour
from tinysae.config import TrainConfig
from tinysae.runs.store import Run, start_run

PICTURES = ROOT / "docs" / "screenshots"
TRAINED_MS = 1_200_000


def train(server: Server, browser: Browser) -> Run:
    """A small SAE, with a picture of its training."""
    config = TrainConfig(name="First look", training_tokens=500_000, d_sae=512)
    run = start_run(config)
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/train?run={run.id}")
        expect_curves(page)
        page.screenshot(path=PICTURES / "train-live.png")
        expect(button(page, "train.stop")).to_have_count(0, timeout=TRAINED_MS)
    return run


def main() -> None:
    """Take them all anew."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        os.environ["TINYSAE_HOME"] = str(home)
        server = start_server(home, Path(folder) / "log")
        browser = launch_chromium(playwright)
        try:
            run = train(server, browser)
            tour(server, browser, run.id, PICTURES)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
