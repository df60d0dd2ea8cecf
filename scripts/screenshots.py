"""Take the pictures of `docs/screenshots`: every page, in both languages and themes,
and the first minute as a moving one.

    make screenshots

Trains a few small SAEs first, which takes some minutes. Fonts are the machine's own:
one without Korean letters draws boxes in their place.
"""

import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.browser import ROOT, Server, launch_chromium, start_server, visit
from benchmarks.clicks import (
    LOADED_MS,
    button,
    expect_curves,
    expect_still,
    expect_written,
    go_to,
)
from benchmarks.screens import WIDE
from benchmarks.tour import tour
from tinysae.presets import PRESETS
from tinysae.runs.store import Run, start_run
from tinysae.runs.sweep import start_sweep
from tinysae.words import text

PICTURES = ROOT / "docs" / "screenshots"
TRAINED_MS = 1_200_000
# Around what the preset asks for.
SWEPT_K = [8.0, 12.0, 48.0]
# The moving picture: its size on the page that shows it, of the window's proportions,
# and how long a frame stands.
MOVING_SIZE = (960, 600)
FRAME_MS, PAUSE_MS = 250, 1500
QUALITY = 60
MAX_BYTES = 3_000_000


def train(server: Server, browser: Browser) -> Run:
    """A small SAE, with a picture of its training."""
    run = start_run(replace(PRESETS[0].config, name="First look"))
    with visit(browser, width=WIDE[0], height=WIDE[1]) as reader:
        page = reader.page
        page.goto(f"{server.url}/train?run={run.id}")
        expect_curves(page)
        page.screenshot(path=PICTURES / "train-live.png")
        expect(button(page, "train.stop")).to_have_count(0, timeout=TRAINED_MS)
    return run


def sweep(server: Server, browser: Browser) -> None:
    """The same SAE, sparser and denser: what the frontier is about."""
    started = start_sweep(PRESETS[0].config, {"k": SWEPT_K})
    with visit(browser, width=WIDE[0], height=WIDE[1]) as reader:
        page = reader.page
        page.goto(f"{server.url}/experiments?view=sweep&sweep={started.id}")
        stop = button(page, "sweep.stop_all")
        expect(stop).to_be_visible(timeout=LOADED_MS)
        expect(stop).to_have_count(0, timeout=TRAINED_MS)


class Film:
    """Frames of a page, each with how long it stands."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._times: list[int] = []

    def take(self, n: int = 1) -> None:
        """`n` frames, `FRAME_MS` apart."""
        for _ in range(n):
            picture = Image.open(io.BytesIO(self._page.screenshot()))
            self._frames.append(picture.convert("RGB").resize(MOVING_SIZE))
            self._times.append(FRAME_MS)
            self._page.wait_for_timeout(FRAME_MS)

    def pause(self) -> None:
        """A frame that stands long enough to be read."""
        self.take()
        self._times[-1] = PAUSE_MS

    def save(self, path: Path) -> None:
        """As an animated WebP that begins again.

        Raises:
            ValueError: it is too large for a page.
        """
        first, *others = self._frames
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=self._times,
            loop=0,
            quality=QUALITY,
        )
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path} has {path.stat().st_size:,} bytes")


def film_first_minute(server: Server, browser: Browser) -> None:
    """Home, a story being written, a word's features, one of them, a training."""
    with visit(browser, width=WIDE[0], height=WIDE[1]) as reader:
        page = reader.page
        film = Film(page)
        page.goto(server.url)
        expect(page.locator(".token").first).to_be_visible(timeout=LOADED_MS)
        film.take(6)
        expect_written(page)
        film.pause()
        go_to(page, "playground")
        words = page.locator(".token")
        expect(words.nth(40)).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        film.pause()
        page.get_by_role("slider", name=text("playground.temperature", "en")).press(
            "Home"
        )
        film.take(4)
        button(page, "playground.generate").click()
        film.take(12)
        expect_still(page)
        words.nth(24).click()
        expect_still(page)
        film.pause()
        page.locator("[class*=st-key-write_feature_] a").first.click()
        expect(page.locator(".panel .passage").first).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        film.pause()
        page.locator(".card").first.click()
        for _ in range(5):
            page.keyboard.press("ArrowDown")
            film.take(2)
        film.pause()
        go_to(page, "train")
        expect_curves(page)
        film.pause()
        button(page, "train.start").click()
        expect(button(page, "train.stop")).to_be_visible(timeout=LOADED_MS)
        expect_curves(page)
        for _ in range(12):
            film.take()
            page.wait_for_timeout(4 * FRAME_MS)
        button(page, "train.stop").click()
        film.save(PICTURES / "first-minute.webp")


def main() -> None:
    """Take them all anew."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder) / "home"
        os.environ["TINYSAE_HOME"] = str(home)
        server = start_server(home, Path(folder) / "log")
        browser = launch_chromium(playwright)
        try:
            film_first_minute(server, browser)
            sweep(server, browser)
            run = train(server, browser)
            tour(server, browser, run.id, PICTURES)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
