"""How smoothly Inside plays, how long one waits for it, and what it is sent.

Part of `benchmarks/inside.py`: `click_ms`, `bytes_sent` and `frames_per_s_200_edges`,
in Chromium, on the shipped model and SAE.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tinysae.data.storybook.generator import stories
from tinysae.words import text

if TYPE_CHECKING:
    from playwright.sync_api import Page

SEED = 2_000_003
# Sentences asked about, and how many of them are not counted: all is cold.
N_CLICKS, N_FIRST = 12, 2
# Arcs and what leads from them to the lamps and the answer.
N_EDGES = 200


def measured() -> dict[str, float]:
    """What a reader waits for, what comes down the wire, and how smoothly it plays."""
    from playwright.sync_api import sync_playwright

    from benchmarks.browser import launch_chromium, start_server, visit

    with tempfile.TemporaryDirectory(prefix="tinysae-inside-") as folder:
        server = start_server(Path(folder) / "home", Path(folder) / "log")
        try:
            with (
                sync_playwright() as playwright,
                closing(launch_chromium(playwright)) as browser,
                visit(browser, width=1440) as reader,
            ):
                page = reader.page
                received: list[int] = []
                page.on(
                    "websocket",
                    lambda socket: socket.on(
                        "framereceived", lambda data: received.append(len(data))
                    ),
                )
                page.goto(f"{server.url}/why")
                page.locator(".machine .answer0").wait_for(state="attached")
                said = [story.text for story in islice(stories(SEED), N_CLICKS)]
                waits, sizes = [], []
                for told in said:
                    received.clear()
                    waits.append(ask(page, told[: len(told) // 2].rstrip()))
                    sizes.append(sum(received))
                return {
                    "click_ms": round(statistics.median(waits[N_FIRST:]), 1),
                    "bytes_sent": round(statistics.median(sizes[N_FIRST:])),
                    "frames_per_s_200_edges": frames_per_s(page),
                }
        finally:
            server.stop()


# The words drawn. The component stands in a shadow root, and the page may replace it.
WORDS = """const words = () => {
  const host = [...document.querySelectorAll("*")]
    .find((element) => element.shadowRoot?.querySelector(".machine"));
  return [...(host?.shadowRoot.querySelectorAll("svg text.word") ?? [])]
    .map((word) => word.textContent).join(" ");
};"""
# Milliseconds from now to the picture of another sentence, drawn.
DRAWN = f"""(before) => new Promise((done) => {{
  {WORDS}
  const start = performance.now();
  const look = () => {{
    const now = words();
    if (now && now !== before) done(performance.now() - start);
    else requestAnimationFrame(look);
  }};
  look();
}})"""
# Frames a second from a press of Play at the first step to the answer.
PLAYED = """(machine) => new Promise((done) => {
  machine.querySelector(".steps button").click();
  machine.querySelector("button.play").click();
  const start = performance.now();
  let frames = 0;
  const count = (now) => {
    frames += 1;
    const isOver = !machine.querySelector(".answer0").classList.contains("later");
    if (isOver) done((1000 * frames) / (now - start));
    else requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
})"""


def ask(page: Page, told: str) -> float:
    """Asks about another sentence; how long until its picture is there."""
    before = page.evaluate(f"() => {{ {WORDS} return words(); }}")
    field = page.locator(".st-key-why_ask textarea").first
    field.fill(told)
    field.press("Control+Enter")
    return float(page.evaluate(DRAWN, before))


def frames_per_s(page: Page) -> float:
    """Of a picture with all of its lines drawn, at least `N_EDGES`."""
    page.get_by_role("button", name=text("why.machine_play", "en")).wait_for()
    page.locator(".machine .less input").fill("100")
    n = page.locator(".machine svg .line").count()
    print(f"{n} lines are played")
    assert n >= N_EDGES, n
    return round(float(page.locator(".machine").evaluate(PLAYED)), 1)
