"""What an open page takes from a training.

    python benchmarks/page_cost.py

Prints a table and, as its last line, one JSON object:

- page_cost_share: the share of the machine that a live page takes from the trainer on
  the server's side: the server's CPU seconds (user and system, all threads, without
  children) over cores x wall seconds while a browser shows the run's curves, less the
  same server's share while nobody looks; windows of both, alternated in one training;
- page_and_browser_cost_share: likewise, of server and browser together, which run on
  one machine as a rule;
- tokens_kept_share: tokens a second of the training while a browser shows it over those
  while nobody looks.

Needs requirements-dev.txt and a Chromium.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.browser import Server, launch_chromium, start_server, visit
from benchmarks.clicks import LOADED_MS, expect_curves
from benchmarks.common import N_CORES, measuring, print_last, row, spread
from benchmarks.own_workers import (
    cpu_s,
    home_at,
    kill_own_workers,
    own_workers,
    processes,
    wait_for,
)
from tinysae.jobs.launch import start
from tinysae.presets import PRESETS
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import Run

SOURCES = [
    "benchmarks/page_cost.py",
    "pages/train.py",
    "tinysae/ui/train/*.py",
    "tinysae/ui/parts/charts.py",
]
(LOOK,) = (preset.config for preset in PRESETS if preset.key == "look")
N_WINDOWS, WINDOW_S = 3, 10
# Of a training that is watched, and killed after that.
ENDLESS_TOKENS = 100_000_000
QUIET_CPU_S = 0.03
LAST_POINT = "document.querySelector('.js-plotly-plot').data[0].x.at(-1)"


def main() -> int:
    print_last(measured())
    return 0


def measured() -> dict[str, float]:
    """Takes the figures of the module's docstring down, and returns them."""
    with measuring("page_cost", SOURCES) as figures:
        figures |= shares()
    return figures


def shares() -> dict[str, float]:
    """The figures; prints the table."""
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-page-cost-") as name,
        sync_playwright() as playwright,
    ):
        browser = launch_chromium(playwright)
        try:
            live, alone = page_cost(browser, Path(name))
        finally:
            browser.close()
    share = median(w.server for w in live) - median(w.server for w in alone)
    browsing = median(w.browser for w in live) - median(w.browser for w in alone)
    kept = median(w.tokens for w in live) / median(w.tokens for w in alone)
    row(
        "page's cost, share",
        round(share / N_CORES, 4),
        f"server's CPU s/s, live: {spread(w.server for w in live)}; "
        f"alone: {spread((w.server for w in alone), 3)}",
    )
    row("  browser, CPU s/s", round(median(w.browser for w in live), 2))
    row("  tokens/s, with over without", round(kept, 2))
    return {
        "page_cost_share": round(share / N_CORES, 4),
        "page_and_browser_cost_share": round((share + browsing) / N_CORES, 4),
        "tokens_kept_share": round(kept, 3),
    }


class Window(NamedTuple):
    """What was used in some seconds, each per second of them."""

    server: float
    browser: float
    tokens: float


def window(run: Run, server: Server, wait: Callable[[float], object]) -> Window:
    def now() -> tuple[float, float, float, int]:
        rows = read_metrics(run.metrics_path).rows
        browser = 0.0
        for pid in _browser(server):
            with suppress(OSError):
                browser += cpu_s(pid)
        return (
            *(time.monotonic(), cpu_s(server.process.pid), browser),
            rows[-1]["n_tokens"],
        )

    before = now()
    wait(WINDOW_S)
    wall, *used = (b - a for a, b in zip(before, now(), strict=True))
    return Window(*(value / wall for value in used))


def _browser(server: Server) -> list[int]:
    """The processes below this one that are neither the server nor a worker."""
    everything = processes()
    others = {server.process.pid, *own_workers()}

    def is_below(pid: int) -> bool:
        while pid in everything and pid not in others:
            pid = everything[pid][0]
            if pid == os.getpid():
                return True
        return False

    return [pid for pid in everything if pid not in others and is_below(pid)]


def page_cost(browser: Browser, folder: Path) -> tuple[list[Window], list[Window]]:
    """Windows of one training: with a live page, and with nobody looking."""
    live: list[Window] = []
    alone: list[Window] = []
    home = folder / "home-page"
    server = start_server(home, folder / "server.log")
    try:
        with home_at(home):
            # As by default, but with more to learn than the windows last.
            run = start(replace(LOOK, training_tokens=ENDLESS_TOKENS))
            wait_for(lambda: read_metrics(run.metrics_path).rows, "the first row")
            for _ in range(N_WINDOWS + 1):
                # The first pair does not count: the server imports, the run has begun.
                wait_for(lambda: _is_quiet(server), "a server that rests")
                alone.append(window(run, server, time.sleep))
                with visit(browser) as reader:
                    page = reader.page
                    page.goto(f"{server.url}/train?run={run.id}", timeout=LOADED_MS)
                    expect_curves(page)
                    last = page.evaluate(LAST_POINT)
                    live.append(window(run, server, _waiting(page)))
                    if page.evaluate(LAST_POINT) <= last:
                        raise RuntimeError("the page does not follow the run")
                if not run.status.is_working:
                    raise RuntimeError("the training ended before the last window")
    finally:
        kill_own_workers()
        server.stop()
    return live[1:], alone[1:]


def _waiting(page: Page) -> Callable[[float], None]:
    """Lets so many seconds pass; Playwright goes on with its work meanwhile."""
    return lambda seconds: page.wait_for_timeout(seconds * 1000)


def _is_quiet(server: Server) -> bool:
    """Whether the server does next to nothing for a second."""
    before = cpu_s(server.process.pid)
    time.sleep(1)
    return cpu_s(server.process.pid) - before <= QUIET_CPU_S


if __name__ == "__main__":
    sys.exit(main())
