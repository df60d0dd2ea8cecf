"""How fast the features page goes from one feature to the next: for `pages.py`."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from benchmarks.browser import Server
from benchmarks.clicks import LOADED_MS

N_PRESSES = 200

# From a key's own time until the frame after the one that draws the next feature.
_WATCH = """(panel) => {
  window.featureMs = [];
  let pressed = 0;
  addEventListener("keydown", (event) => (pressed = event.timeStamp), true);
  new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() =>
    window.featureMs.push(performance.now() - pressed),
  ))).observe(panel, { attributeFilter: ["data-feature"] });
}"""


def open_list(page: Page, server: Server) -> None:
    """The features page, with the keys in its list."""
    page.goto(f"{server.url}/features")
    expect(page.locator(".panel[data-feature]")).to_be_visible(timeout=LOADED_MS)
    page.locator(".card").first.click()
    expect(page.locator(".card").first).to_have_attribute("aria-selected", "true")


def feature_times(page: Page, n: int = N_PRESSES) -> list[float]:
    """Milliseconds from each press of an arrow key in the list until the next feature's
    panel is drawn."""
    page.locator(".panel").evaluate(_WATCH)
    for done in range(1, n + 1):
        page.keyboard.press("ArrowDown")
        page.wait_for_function(f"window.featureMs.length >= {done}")
    return page.evaluate("window.featureMs")
