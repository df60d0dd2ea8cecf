"""What a page shows first, and whether it moves: for `pages.py` and the browser tests.

A first screen is the part of a page that a cold visit shows without scrolling. Its
contract names elements that must lie in it whole. A shift is the browser's own
`layout-shift` entry: the share of the window that moved, times how far.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from benchmarks.asked import LOADED_MS, expect_still
from benchmarks.browser import Server
from benchmarks.clicks import go_to
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
      moved: entry.sources.map(({ node }) => `${node?.className || node?.nodeName}`),
    });
}).observe({ type: "layout-shift", buffered: true });
"""


Screen = Callable[[Page, Language], dict[str, Locator]]


def home(page: Page, language: Language) -> dict[str, Locator]:
    """A story, a word of it with the features at work there, the lesson that leads; and
    where there is room, three ways on."""
    title = text("home.title", language)
    shown = {
        "title": page.get_by_role("heading", name=title, level=1),
        "lesson": page.get_by_role("button", name=text("home.lesson", language)),
        "story": page.get_by_role("listbox").first,
        "word": page.locator(".st-key-home_word h3"),
        "feature": page.locator("[class*=st-key-home_feature_] a").first,
    }
    if not is_phone(page):
        for way in ("playground", "why", "train"):
            shown[way] = page.locator(f".st-key-home_way_{way}")
    return shown


def playground(page: Page, language: Language) -> dict[str, Locator]:
    """What is asked for, what could come next, stories; and where there is room, all of
    the first one, and the features at work in a word of it."""
    main = page.get_by_test_id("stMain")
    name = text("playground.temperature", language)
    shown = {
        "prompt": main.get_by_role("textbox"),
        "write": main.get_by_role(
            "button", name=text("playground.generate", language), exact=True
        ),
        "temperature": main.get_by_role("slider", name=name),
        "next": main.locator(".bars"),
        "story": main.get_by_role("option").first,
    }
    if not is_phone(page):
        shown["story"] = main.get_by_role("listbox").first
        shown["second story"] = main.get_by_role("listbox").nth(1)
        shown["word"] = main.locator(".st-key-write_word h3").first
        shown["feature"] = main.locator("[class*=st-key-write_feature_] a").first
    return shown


def train(page: Page, language: Language) -> dict[str, Locator]:
    """The cards with Start, and the curves; a phone has room for the first two."""
    curves = page.locator(".js-plotly-plot")
    tutorial = text("train.preset_tutorial", language)
    start = text("train.start", language)
    return {
        "cards": page.get_by_role("radiogroup").filter(has_text=tutorial),
        "start": page.get_by_role("button", name=start),
        "MSE": curves.nth(0),
        "L1": curves.nth(1),
        **({} if is_phone(page) else {"dead features": curves.nth(5)}),
    }


def experiments(page: Page, language: Language) -> dict[str, Locator]:
    """The frontier, what it says, and the chosen SAE beside it with the tutorial's
    result; a phone has room for the first two."""
    main = page.get_by_test_id("stMain")
    tab = text("experiments.view_frontier", language)
    shown = {
        "tab": page.get_by_role("tab", name=tab, exact=True),
        "kept": page.get_by_role("radiogroup", name=text("experiments.kept", language)),
        "frontier": main.locator(".js-plotly-plot .plot-container"),
        "said": main.locator(".st-key-experiments_said p").first,
    }
    if not is_phone(page):
        shown["beside"] = main.locator(".st-key-experiments_beside")
    return shown


def features(page: Page, language: Language) -> dict[str, Locator]:
    """The search, eight cards and the panel; a phone has room for the panel's top."""
    search, sort = (text(f"features.{key}", language) for key in ("search", "sort"))
    elements = {
        "search": page.get_by_role("textbox", name=search),
        "sort": page.get_by_role("combobox", name=sort),
        "name": page.locator(".panel h2"),
        "actions": page.locator(".panel .actions"),
        "passage": page.locator(".panel .passage").first,
    }
    if is_phone(page):
        return elements
    return elements | {
        "tabs": page.get_by_role("radiogroup", name=text("features.view", language)),
        "first card": page.locator(".card").first,
        "eighth card": page.locator(".card").nth(7),
        "passages": page.locator(".panel .strips"),
        "pushes": page.locator(".panel .bottom"),
    }


def inside(page: Page, language: Language) -> dict[str, Locator]:
    """The sentence, its next word, and the machine, drawn."""
    tab = text("why.view_picture", language)
    return {
        "sentence": page.get_by_label(text("why.prompt", language)),
        "next word": page.get_by_test_id("stMain").get_by_text("Lily” 95").first,
        "tab": page.get_by_role("tab", name=tab, exact=True),
        "answer": page.locator("svg .answer0"),
        "lamps": page.locator("svg .lamp").first,
        "heads": page.locator("svg .head").first,
        "words": page.locator("svg .node.word").last,
    }


SCREENS: dict[str, Screen] = {
    "home": home,
    "playground": playground,
    "train": train,
    "experiments": experiments,
    "features": features,
    "why": inside,
}
"""What each page shows first, by its name in the navigation."""


SAYS = {
    "home": ".st-key-home_word p",
    "playground": ".st-key-write_next_said p",
    "train": ".st-key-train_legend p",
    "experiments": ".st-key-experiments_said p",
    "features": ".panel [role=status]",
    "why": ".machine .says",
}
"""Where each page says, in a sentence made from the data, what its picture shows."""


def reads_aloud(page: Page, name: str) -> bool:
    """Whether a screen reader meets that sentence: the accessibility tree has it."""
    sentence = page.locator(SAYS[name]).first.inner_text()
    tree = page.get_by_test_id("stMain").aria_snapshot()
    # The tree is written with quotation marks and line breaks of its own.
    said, heard = (" ".join(re.findall(r"\w+", each)) for each in (sentence, tree))
    return bool(said) and said in heard


def is_phone(page: Page) -> bool:
    """Whether Streamlit hides the sidebar."""
    size = page.viewport_size
    return size is not None and size["width"] < PHONE_PX


def watch_shifts(page: Page) -> None:
    """Begin to count, from the page's next address on."""
    page.add_init_script(_OBSERVE)


def shift(page: Page) -> float:
    """What has moved since the last time this was asked, clicks' own effects included:
    Chromium's cumulative layout shift leaves out what follows a click, and a reader
    does not."""
    # An entry comes with the frame after the one that moved.
    page.evaluate("new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")
    moved = page.evaluate("window.tinysaeShifts.splice(0).map(({ value }) => value)")
    return sum(moved)


def open_by_clicking(page: Page, server: Server, name: str, language: Language) -> None:
    """From home, by the menu."""
    page.goto(server.url)
    if name != "home":
        go_by_menu(page, name, language)


def go_by_menu(page: Page, name: str, language: Language) -> None:
    """From any page; a phone hides the menu."""
    if is_phone(page):
        expect_still(page)
        page.get_by_test_id("stExpandSidebarButton").click(timeout=LOADED_MS)
    go_to(page, name, language)


def box(locator: Locator) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in the window, in pixels."""
    expect(locator).to_be_visible(timeout=LOADED_MS)
    found = locator.bounding_box()
    assert found is not None
    x, y = found["x"], found["y"]
    return x, y, x + found["width"], y + found["height"]


def outside_window(
    page: Page, elements: dict[str, Locator]
) -> dict[str, tuple[float, ...]]:
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


def expect_unmoved(before: dict[str, float], elements: dict[str, Locator]) -> None:
    """No element begins elsewhere than it did."""
    after = tops(elements)
    assert {n: y for n, y in after.items() if abs(y - before[n]) > SLACK_PX} == {}


def tops(elements: dict[str, Locator]) -> dict[str, float]:
    """Where each begins; after an action, what stands above it must be the same."""
    return {name: box(locator)[1] for name, locator in elements.items()}
