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
    if is_wide(page):
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
    if is_wide(page):
        shown["story"] = main.get_by_role("listbox").first
        shown["second story"] = main.get_by_role("listbox").nth(1)
        shown["word"] = main.locator(".st-key-write_word h3").first
        shown["feature"] = main.locator("[class*=st-key-write_feature_] a").first
    return shown


def is_wide(page: Page) -> bool:
    return (page.viewport_size or {"width": 0})["width"] > 640


# What each page shows; a page's elements are given from top to bottom.
SCREENS: dict[str, Screen] = {"home": home, "playground": playground}


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
