"""How fast the pages are, and how little they send.

Prints a table and, as its last line, one JSON object:

- fcp_over_bare_streamlit, title_over_bare_streamlit: home's first contentful paint,
  and the time until its title is visible, over those of a one-line Streamlit app.
  Medians of pairs, alternated; each with a server that nobody has visited and an empty
  browser profile. Neither server watches files or sends statistics;
- title_s: the median for tinysae's title, from the start of navigation;
- model_ready_s: from the start of the first navigation until home says "Ready";
- rerun_ms: a step of the playground's temperature, from the frame that the browser
  sends to the one that says the script has finished;
- strip_kib_256: the whole websocket frame of the playground's strip when the text fills
  the model's context of 256 tokens, with the component's JS and CSS, which it carries;
- feature_p95_ms: from an arrow key in the features' list until the next one's panel is
  drawn, the 95th percentile of 200 presses in a row; feature_median_ms: the median;
- chart_remounts: how often the node of a live curve was replaced until the training
  ended;
- frames_after_end: frames received in 10 s after a run's end and the rerun it brings;
- outside_requests: requests to other hosts, over all pages;
- cls_worst: the largest layout shift of a page at 1440 x 900 or 390 x 844: of a first
  visit, of a second one, or of one main action (a story written, a card of the training
  page or a feature chosen); the browser's own entries, those that follow a click
  included;
- clicks_to_features_of_a_word: from home until features are shown that are at work in
  a word of a story;
- first_screens_short: pages of which a part of the first screen's contract
  (`screens.py`) is not wholly in the window, at 1440 x 900 or at 390 x 844;
- minutes_to_own_feature: in a fresh clone, whose packages are there: from the command
  that starts the server to a feature of the SAE that the default preset trained, by way
  of home, the playground and the features' list: as soon as training has ended, while
  the run still measures its SAE and collects from more text;
- minutes_to_whole_index: until all of the run is done, and its last index is there.

Needs the packages of requirements-dev.txt and a Chromium; the clone is of HEAD.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from tokenizers import Tokenizer

from benchmarks.browser import ROOT, Server, launch_chromium, start_server
from benchmarks.browsing import feature_times, open_list
from benchmarks.clicks import (
    LOADED_MS,
    button,
    expect_curves,
    expect_still,
    go_to,
    open_first_feature,
    way_to_features,
    write_a_story,
)
from benchmarks.common import measuring, print_last, row, spread
from benchmarks.layout import layout
from benchmarks.reader import finished_ms, reader_of
from tinysae.data.storybook.generator import stories
from tinysae.words import text

SOURCES = [
    "benchmarks/pages.py",
    "benchmarks/browsing.py",
    "app.py",
    "pages/*.py",
    "tinysae/ui/*/*.py",
    "tinysae/presets.py",
]
# Training, evaluation and index; generous, for a busy machine.
RUN_S = 1200
N_PAIRS = 3
N_RERUNS = 15
QUIET_S = 10
# With the start token, all that the embedded model sees at once.
STRIP_TOKENS = 255
BARE = 'import streamlit as st; st.title("bare")\n'
# The same for both sides. What makes the bare app slower by default is turned off.
SERVER_OPTIONS = {
    "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none",
    "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}

FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WATCH_CHARTS = """() => {
  const charts = () => [...document.querySelectorAll(".tinysae-live [role=img]")];
  let seen = charts();
  window.remounts = 0;
  window.points = () => charts()[0].data[0].x.length;
  new MutationObserver(() => {
    const now = charts();
    window.remounts += seen.filter((node, i) => node !== now[i]).length;
    seen = now;
  }).observe(document.body, { childList: true, subtree: true });
  return seen.length;
}"""


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[Server]:
    """A server nobody has visited, with an empty home in a new part of `folder`."""
    own = Path(tempfile.mkdtemp(dir=folder))
    server = start_server(own / "home", own / "server.log", **options)
    try:
        yield server
    finally:
        server.stop()


def first_sight(page: Page, server: Server) -> tuple[float, float]:
    """Seconds until the first contentful paint and until the title is visible."""
    page.goto(server.url)
    page.wait_for_function("() => window.titleMs", timeout=LOADED_MS)
    # The entry comes a moment after its paint.
    page.wait_for_function(f"() => {FIRST_PAINT}", timeout=LOADED_MS)
    return page.evaluate(FIRST_PAINT) / 1000, page.evaluate("window.titleMs") / 1000


def bare_pair_half(playwright: Playwright, folder: Path) -> tuple[float, float]:
    root = Path(tempfile.mkdtemp(dir=folder))
    (root / "bare.py").write_text(BARE)
    with (
        served(folder, root=root, script="bare.py") as server,
        chromium(playwright) as browser,
        reader_of(browser) as reader,
    ):
        return first_sight(reader.page, server)


def own_pair_half(
    playwright: Playwright, folder: Path, outside: list[str]
) -> tuple[float, float, float]:
    """First contentful paint, title and model ready."""
    with (
        served(folder) as server,
        chromium(playwright) as browser,
        reader_of(browser) as reader,
    ):
        page = reader.page
        paint, title = first_sight(page, server)
        # The name of the badge's icon is text, too, and stands before it.
        badge = re.compile(re.escape(text("home.model_ready", "en")) + "$")
        ready = page.get_by_test_id("stMain").get_by_text(badge)
        ready.wait_for(timeout=LOADED_MS)
        ready_s = page.evaluate("performance.now()") / 1000
        outside += reader.outside
        return paint, title, ready_s


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = launch_chromium(playwright)
    try:
        yield browser
    finally:
        browser.close()


def rerun_and_strip(
    browser: Browser, folder: Path, outside: list[str]
) -> tuple[list[float], float]:
    """Milliseconds of each rerun of the playground; KiB of the largest strip."""
    with served(folder) as server, reader_of(browser) as reader:
        page = reader.page
        page.goto(server.url)
        go_to(page, "playground")
        tokens = page.get_by_role("listbox").first.get_by_role("option")
        expect(tokens.first).to_be_visible(timeout=LOADED_MS)
        reader.settle()
        slider = page.get_by_role("slider", name=text("playground.temperature", "en"))
        reruns = []
        for _ in range(N_RERUNS):
            n_before = len(reader.frames)
            slider.press("ArrowRight")
            reruns.append(finished_ms(reader, n_before))
        prompt = page.get_by_role("textbox", name=text("playground.prompt", "en"))
        prompt.fill(full_context())
        prompt.press("Control+Enter")
        expect(tokens).to_have_count(STRIP_TOKENS, timeout=LOADED_MS)
        reader.settle()
        strips = [len(frame.payload) for frame in reader.frames if frame.is_strip]
        outside += reader.outside
        return reruns, max(strips) / 1024


def browse_features(browser: Browser, folder: Path, outside: list[str]) -> list[float]:
    """Milliseconds of each press of an arrow key in the list of features."""
    with served(folder) as server, reader_of(browser) as reader:
        open_list(reader.page, server)
        presses = feature_times(reader.page)
        outside += reader.outside
        return presses


def full_context() -> str:
    """A beginning of a story that has exactly `STRIP_TOKENS` tokens."""
    folder = ROOT / "tinysae" / "embedded" / "assets" / "storybook"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # Two stories in a row: one alone is often shorter.
    some = (story.text for story in stories(0))
    for first, second in zip(islice(some, 0, 200), some, strict=False):
        both = f"{first} {second}"
        encoding = tokenizer.encode(both, add_special_tokens=False)
        prompt = both[: encoding.offsets[STRIP_TOKENS - 1][1]]
        again = tokenizer.encode(prompt, add_special_tokens=False)
        if len(again.ids) == STRIP_TOKENS:
            return prompt
    raise RuntimeError("no story of the right length")


@dataclass
class Journey:
    """What was seen on the way to one's own feature."""

    minutes: float
    minutes_to_end: float
    training_s: float
    remounts: int
    n_charts: int
    new_points: int
    frames_after_end: int


def to_own_feature(browser: Browser, folder: Path, outside: list[str]) -> Journey:
    """A newcomer's first minutes in a fresh clone; the default settings untouched."""
    clone = folder / "clone"
    command = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)]
    subprocess.run(command, check=True)
    started = time.monotonic()
    server = start_server(clone, folder / "clone.log", root=clone)
    try:
        with reader_of(browser) as reader:
            page = reader.page
            page.goto(server.url)
            go_to(page, "playground")
            write_a_story(page)
            go_to(page, "train")
            button(page, "train.start").click()
            training = time.monotonic()
            expect_curves(page)
            n_charts = page.evaluate(WATCH_CHARTS)
            n_points = page.evaluate("window.points()")
            expect(way_to_features(page, "train.explore_end")).to_be_visible(
                timeout=RUN_S * 1000
            )
            training_s = time.monotonic() - training
            remounts = page.evaluate("window.remounts")
            new_points = page.evaluate("window.points()") - n_points
            if not new_points:
                raise RuntimeError("no live curves")
            open_first_feature(page, "train.explore_end")
            minutes = (time.monotonic() - started) / 60

            go_to(page, "train")
            explore = way_to_features(page, "train.explore")
            expect(explore).to_be_visible(timeout=RUN_S * 1000)
            minutes_to_end = (time.monotonic() - started) / 60
            expect_still(page)
            reader.settle()
            n_frames = sum(not frame.sent for frame in reader.frames)
            page.wait_for_timeout(QUIET_S * 1000)
            late = sum(not frame.sent for frame in reader.frames) - n_frames
            outside += reader.outside
    finally:
        server.stop()
    return Journey(
        minutes, minutes_to_end, training_s, remounts, n_charts, new_points, late
    )


def main() -> int:
    # What is started in the clone must find the clone's modules, not this checkout's.
    os.environ.pop("PYTHONPATH", None)
    # Where a newcomer has it, Python keeps what it has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(SERVER_OPTIONS)
    with measuring("pages", SOURCES) as figures:
        figures |= measured()
    print_last(figures)
    return 0


def measured() -> dict[str, float]:
    """The figures of the module's docstring; prints the table."""
    outside: list[str] = []
    figures: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-pages-") as name,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        bare, own = [], []
        # One pair goes first that does not count: it brings files into memory.
        for _ in range(N_PAIRS + 1):
            bare.append(bare_pair_half(playwright, folder))
            own.append(own_pair_half(playwright, folder, outside))
        (bare_paint, bare_title) = zip(*bare[1:], strict=True)
        (own_paint, own_title, ready) = zip(*own[1:], strict=True)
        for what, ours, theirs in (
            ("fcp", own_paint, bare_paint),
            ("title", own_title, bare_title),
        ):
            ratio = round(median(ours) / median(theirs), 3)
            figures[f"{what}_over_bare_streamlit"] = ratio
            row(f"{what} over bare", ratio)
            row(f"  {what}, tinysae, s", round(median(ours), 2), spread(ours))
            row(f"  {what}, bare, s", round(median(theirs), 2), spread(theirs))
        figures["title_s"] = round(median(own_title), 2)
        figures["model_ready_s"] = round(median(ready), 2)
        row("model ready, s", figures["model_ready_s"], spread(ready))

        with chromium(playwright) as browser:
            reruns, strip_kib = rerun_and_strip(browser, folder, outside)
            figures["rerun_ms"] = round(median(reruns), 1)
            figures["strip_kib_256"] = round(strip_kib, 2)
            row("rerun, ms", figures["rerun_ms"], spread(reruns, 0))
            row("strip, KiB", figures["strip_kib_256"], f"{STRIP_TOKENS} tokens + BOS")

            presses = browse_features(browser, folder, outside)
            figures["feature_p95_ms"] = round(quantiles(presses, n=20)[-1], 1)
            figures["feature_median_ms"] = round(median(presses), 1)
            row(
                "next feature, p95, ms",
                figures["feature_p95_ms"],
                f"of {len(presses)}, median {figures['feature_median_ms']}",
            )

            with served(folder) as server:
                figures |= layout(browser, server)
            journey = to_own_feature(browser, folder, outside)
        figures["chart_remounts"] = journey.remounts
        figures["frames_after_end"] = journey.frames_after_end
        figures["outside_requests"] = len(outside)
        figures["minutes_to_own_feature"] = round(journey.minutes, 2)
        figures["minutes_to_whole_index"] = round(journey.minutes_to_end, 2)
        row(
            "chart remounts",
            journey.remounts,
            f"{journey.n_charts} charts, {journey.new_points} new points",
        )
        row("frames after the end", journey.frames_after_end, f"in {QUIET_S} s")
        row("outside requests", len(outside), " ".join(sorted(set(outside))))
        row(
            "minutes to own feature",
            figures["minutes_to_own_feature"],
            f"of which the training, from Start: {journey.training_s:.0f} s",
        )
        row("minutes to the whole index", figures["minutes_to_whole_index"])
    return figures


if __name__ == "__main__":
    sys.exit(main())
