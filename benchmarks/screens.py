"""What a page shows first, and whether it moves: for `pages.py` and the browser tests.

A first screen is the part of a page that a cold visit shows without scrolling. Its
contract names elements that must lie in it whole. A shift is the browser's own
`layout-shift` entry: the share of the window that moved, times how far.
"""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from benchmarks.browser import Server
from benchmarks.clicks import LOADED_MS, expect_still, go_to
from tinysae.words import Language, text

WIDE, PHONE = (1440, 900), (390, 844)
# Below it Streamlit hides the sidebar.
PHONE_PX = 640
# Of a border between two elements, and of a browser's rounding.
SLACK_PX = 1.0

_OBSERVE = """
window.tinysaeShifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    window.tinysaeShifts.push({
      value: entry.value,
      moved: entry.sources.map((s) => (s.node?.className || s.node?.nodeName || "") + ""),
    });
}).observe({ type: "layout-shift", buffered: true });
"""


def watch_shifts(page: Page) -> None:
    """Begin to count, from the page's next address on."""
    page.add_init_script(_OBSERVE)


def shift(page: Page) -> float:
    """What has moved since the last time this was asked, clicks' own effects included:
    Chromium's cumulative layout shift leaves out what follows a click, and a reader
    does not."""
    # An entry comes with the frame after the one that moved.
    page.evaluate("() => new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")
    return page.evaluate(
        "() => window.tinysaeShifts.splice(0).reduce((sum, { value }) => sum + value, 0)"
    )


def open_by_clicking(page: Page, server: Server, name: str, language: Language) -> None:
    """From home, by the menu, which a phone hides."""
    page.goto(server.url)
    if name == "home":
        return
    size = page.viewport_size
    assert size is not None
    if size["width"] < PHONE_PX:
        page.get_by_test_id("stExpandSidebarButton").click(timeout=LOADED_MS)
    go_to(page, name, language)


def box(locator: Locator) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in the window, in pixels."""
    expect(locator).to_be_visible(timeout=LOADED_MS)
    found = locator.bounding_box()
    assert found is not None
    x, y = found["x"], found["y"]
    return x, y, x + found["width"], y + found["height"]


def outside(page: Page, elements: dict[str, Locator]) -> dict[str, tuple[float, ...]]:
    """Those that the window shows in part or not at all, and where they are."""
    size = page.viewport_size
    assert size is not None
    boxes = {name: box(locator) for name, locator in elements.items()}
    return {
        name: found
        for name, found in boxes.items()
        if min(found[:2]) < -SLACK_PX
        or found[2] > size["width"] + SLACK_PX
        or found[3] > size["height"] + SLACK_PX
    }


def tops(elements: dict[str, Locator]) -> dict[str, float]:
    """Where each begins; after an action, what stands above it must be the same."""
    return {name: box(locator)[1] for name, locator in elements.items()}
