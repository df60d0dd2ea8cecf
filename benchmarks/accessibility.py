"""axe-core on every page and view: for the playground's figures and the browser tests.

axe-core 4.14.1 (Deque, MPL 2.0) lies in `axe/` as npm has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from benchmarks.asked import answered, expect_still
from benchmarks.browser import Server
from benchmarks.clicks import LOADED_MS, expect_played, point_at, write
from tinysae.words import text

AXE = Path(__file__).parent / "axe" / "axe.min.js"
# All that axe-core says of colours, and all that another theme can change.
COLOUR_RULES = ("color-contrast", "link-in-text-block")
RUN_AXE = """async (only) => {
  const asked = only.length ? { runOnly: only } : {};
  const found = await axe.run(document, { resultTypes: ["violations"], ...asked });
  return found.violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, nodes }) => nodes.map(({ target, html, failureSummary }) =>
      [id, JSON.stringify(target), html.slice(0, 200), failureSummary]));
}"""


@dataclass(frozen=True)
class Violation:
    """An element that breaks a rule of axe-core, serious or critical."""

    rule: str
    target: str
    html: str
    summary: str


def violations(page: Page, only: Sequence[str] = ()) -> list[Violation]:
    """The serious and critical violations of what is on the page now, of all rules or
    of `only` these."""
    # Colours go over into one another: half-way there they may be too pale.
    page.wait_for_function("() => document.getAnimations().length === 0")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    rows: list[list[Any]] = page.evaluate(RUN_AXE, [*only])
    return [Violation(*row) for row in rows]


def open_view(page: Page, server: Server, name: str) -> None:
    """Home, a page, or a view of the playground, with something to see on it."""
    path, _, view = name.partition("/")
    query = f"?view={view}" if path in ("why", "experiments") else ""
    page.goto(f"{server.url}/{'' if path == 'home' else path}{query}")
    main = page.get_by_test_id("stMain")
    if path == "home":
        expect(page.get_by_role("listbox").first).to_be_visible(timeout=LOADED_MS)
        expect(main.get_by_text(text("home.model_ready", "en"))).to_be_visible(
            timeout=LOADED_MS
        )
    elif path == "train":
        start = page.get_by_role("button", name=text("train.start", "en"), exact=True)
        expect(start).to_be_visible(timeout=LOADED_MS)
    elif path == "experiments":
        shown = {
            "frontier": ".js-plotly-plot .plot-container",
            "runs": "[data-testid=stDataFrame]",
            "sweep": ".js-plotly-plot .plot-container",
            "face": ".fates",
        }[view]
        expect(page.locator(shown).first).to_be_visible(timeout=LOADED_MS)
    elif path.startswith("features"):
        shown = ".passage" if "overview" not in path else "[data-testid=stDataFrame]"
        expect(page.locator(shown).first).to_be_visible(timeout=LOADED_MS)
    elif name == "why/picture":
        expect_played(page)
    elif path == "why":
        last = {
            "why": "why.share",
            "whatif": "why.predicted",
            "steer": "why.steer_next",
        }
        heading = page.get_by_role("heading", name=text(last[view], "en"))
        expect(heading).to_be_visible(timeout=LOADED_MS)
    else:
        open_playground(page, view)
    # What is still being drawn would be seen at half its colour.
    expect_still(page)


def open_playground(page: Page, view: str) -> None:
    """One of its views, with samples and a clicked token, ranks, or a comparison."""
    options = page.get_by_role("option")
    expect(options.first).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    if view != "write":
        label = text(f"playground.view_{view}", "en")
        with answered(page):
            page.get_by_role("radio", name=label, exact=True).click()
    if view == "compare":
        heading = text("playground.second_text", "en")
        expect(page.get_by_role("heading", name=heading)).to_be_visible(
            timeout=LOADED_MS
        )
    elif view == "ranks":
        label = text("playground.suite_run", "en")
        page.get_by_role("button", name=label, exact=True).click(timeout=LOADED_MS)
        expect(page.get_by_test_id("stMetric").first).to_be_visible(timeout=LOADED_MS)
    else:
        write(page)
        point_at(options.nth(4))


VIEWS = [
    "home",
    "playground/write",
    "playground/ranks",
    "playground/compare",
    "train",
    "experiments/frontier",
    "experiments/runs",
    "experiments/sweep",
    "experiments/face",
    "features",
    "features?run=storybook&feature=3&view=map",
    "features?run=storybook&view=concepts",
    "features?q=The+dog+saw+a+cat.",
    "features?view=overview",
    "why/picture",
    "why/why",
    "why/whatif",
    "why/steer",
]
