"""What a stranger sees first: on a cold visit, nothing typed, without scrolling.

At two sizes and in both languages and themes, a page's main control, its picture and
its answer (`benchmarks.screens`) lie inside the window.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.browser import Server, Visit, start_server, visit
from benchmarks.clicks import LOADED_MS, expect_played, expect_still
from benchmarks.layout import shifts_of
from benchmarks.screens import (
    PHONE,
    SCREENS,
    WIDE,
    go_by_menu,
    outside_window,
    reads_aloud,
)
from benchmarks.tour import LOCALES, THEMES
from tests.browser.test_accessibility import turn
from tinysae.words import LANGUAGES, Language


@pytest.fixture(
    scope="module",
    params=product(LANGUAGES, (WIDE, PHONE)),
    ids=lambda asked: f"{asked[0]}-{'phone' if asked[1] == PHONE else 'wide'}",
)
def stranger(
    request: pytest.FixtureRequest, quiet_server: Server, browser: Browser
) -> Iterator[tuple[Visit, Language]]:
    """A reader at home, and what they speak; they go on by the menu, page by page."""
    language, (width, height) = request.param
    with visit(browser, width=width, height=height, locale=LOCALES[language]) as reader:
        reader.page.goto(quiet_server.url)
        yield reader, language


@pytest.mark.parametrize("name", SCREENS)
def test_the_first_screen_shows_control_picture_and_answer(
    stranger: tuple[Visit, Language], name: str
) -> None:
    reader, language = stranger
    page = reader.page
    # Where they begin; on a phone, a menu that leads nowhere stays open.
    if name != "home":
        go_by_menu(page, name, language)
    elements = SCREENS[name](page, language)
    for locator in elements.values():
        expect(locator).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    if name == "why":
        expect_played(page)
    assert reads_aloud(page, name)
    for theme in THEMES:
        turn(page, theme)
        assert not outside_window(page, elements)
    reader.assert_clean()


# A good page by https://web.dev/articles/cls has 0.1; what is seen to move has more
# than this.
MOST_SHIFT = 0.02


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", SCREENS)
def test_nothing_moves_while_a_page_comes_and_at_its_main_action(
    server: Server, new_browser: Browser, name: str, size: tuple[int, int]
) -> None:
    moved = shifts_of(new_browser, server, name, size)
    assert {what: v for what, v in moved.items() if v > MOST_SHIFT} == {}


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", ["playground", "train"])
def test_nothing_moves_on_a_server_that_still_loads_its_model(
    tmp_path: Path, new_browser: Browser, name: str, size: tuple[int, int]
) -> None:
    server = start_server(tmp_path / "home", tmp_path / "log")
    try:
        moved = shifts_of(new_browser, server, name, size)
    finally:
        server.stop()
    assert {what: v for what, v in moved.items() if v > MOST_SHIFT} == {}
