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


def features(page: Page, language: Language) -> dict[str, Locator]:
    """The search, eight cards and the panel; a phone has room for the panel's top."""
    found = {
        "search": page.get_by_role("textbox", name=text("features.search", language)),
        "sort": page.get_by_role("combobox", name=text("features.sort", language)),
        "name": page.locator(".panel h2"),
        "actions": page.locator(".panel .actions"),
        "passage": page.locator(".panel .passage").first,
    }
    if (page.viewport_size or {})["width"] < 640:
        return found
    return found | {
        "tabs": page.get_by_role("radiogroup", name=text("features.view", language)),
        "first card": page.locator(".card").first,
        "eighth card": page.locator(".card").nth(7),
        "passages": page.locator(".panel .strips"),
        "pushes": page.locator(".panel .bottom"),
    }


# What each page shows; a page's elements are given from top to bottom.
SCREENS: dict[str, Screen] = {"home": home, "features": features}


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
