"""What a stranger sees first: on a cold visit, nothing typed, without scrolling.

At two sizes and in both languages and themes, a page's main control, its picture and
its answer lie inside the window, whole and beside each other; what fills later moves
nothing.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.browser import Server, visit
from benchmarks.clicks import LOADED_MS, expect_still, go_to
from benchmarks.tour import LOCALES
from tests.browser.test_accessibility import turn
from tinysae.words import LANGUAGES, Language, text

SIZES = {"wide": (1440, 900), "phone": (390, 844)}
# Of a border between two elements, and of a browser's rounding.
SLACK_PX = 1.0

Screen = Callable[[Page, Language], dict[str, Locator]]


def home(page: Page, language: Language) -> dict[str, Locator]:
    title = text("home.title", language)
    return {"title": page.get_by_role("heading", name=title, level=1)}


def inside(page: Page, language: Language) -> dict[str, Locator]:
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


def train(page: Page, language: Language) -> dict[str, Locator]:
    curves = page.locator(".js-plotly-plot")
    start = text("train.start", language)
    is_phone = (page.viewport_size or {})["width"] == SIZES["phone"][0]
    return {
        "cards": page.get_by_role("radiogroup").filter(
            has_text=text("train.preset_tutorial", language)
        ),
        "start": page.get_by_role("button", name=start),
        "MSE": curves.nth(0),
        "L1": curves.nth(1),
        **({} if is_phone else {"dead features": curves.nth(5)}),
    }


# What each page shows; a page's elements are given from top to bottom.
SCREENS: dict[str, Screen] = {"home": home, "train": train, "why": inside}


def open_by_clicking(page: Page, server: Server, name: str, language: Language) -> None:
    """From home, by the menu, which a phone hides."""
    page.goto(server.url)
    if name == "home":
        return
    if (page.viewport_size or {})["width"] < 640:
        page.get_by_test_id("stExpandSidebarButton").click(timeout=LOADED_MS)
    go_to(page, name, language)


def box(locator: Locator) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in the window, in pixels."""
    expect(locator).to_be_visible(timeout=LOADED_MS)
    found = locator.bounding_box()
    assert found is not None
    x, y = found["x"], found["y"]
    return x, y, x + found["width"], y + found["height"]


def tops(elements: dict[str, Locator]) -> dict[str, float]:
    """Where each begins; after an action, what stands above it must be the same."""
    return {name: box(locator)[1] for name, locator in elements.items()}


def expect_unmoved(before: dict[str, float], elements: dict[str, Locator]) -> None:
    after = tops(elements)
    assert {n: y for n, y in after.items() if abs(y - before[n]) > SLACK_PX} == {}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SCREENS)
def test_the_first_screen_shows_control_picture_and_answer(
    quiet_server: Server, browser: Browser, name: str, language: Language, size: str
) -> None:
    width, height = SIZES[size]
    with visit(browser, width=width, height=height, locale=LOCALES[language]) as reader:
        page = reader.page
        open_by_clicking(page, quiet_server, name, language)
        elements = SCREENS[name](page, language)
        for locator in elements.values():
            expect(locator).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        for theme in ("light", "dark"):
            turn(page, theme)
            boxes = {key: box(locator) for key, locator in elements.items()}
            outside = {
                key: found
                for key, found in boxes.items()
                if min(found[:2]) < -SLACK_PX
                or found[2] > width + SLACK_PX
                or found[3] > height + SLACK_PX
            }
            assert not outside, f"outside {width} x {height}: {outside}"
        reader.assert_clean()
