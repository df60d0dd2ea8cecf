"""What a stranger sees first: on a cold visit, nothing typed, without scrolling.

At two sizes and in both languages and themes, a page's main control, its picture and
its answer (`benchmarks.screens`) lie inside the window.
"""

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.browser import Server, visit
from benchmarks.clicks import LOADED_MS, expect_played, expect_still
from benchmarks.layout import shifts_of
from benchmarks.screens import (
    PHONE,
    SCREENS,
    WIDE,
    open_by_clicking,
    outside_window,
    reads_aloud,
)
from benchmarks.tour import LOCALES, THEMES
from tests.browser.test_accessibility import turn
from tinysae.words import LANGUAGES, Language


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SCREENS)
def test_the_first_screen_shows_control_picture_and_answer(
    quiet_server: Server,
    browser: Browser,
    name: str,
    language: Language,
    size: tuple[int, int],
) -> None:
    width, height = size
    with visit(browser, width=width, height=height, locale=LOCALES[language]) as reader:
        page = reader.page
        open_by_clicking(page, quiet_server, name, language)
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


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", SCREENS)
def test_nothing_moves_while_a_page_comes_and_at_its_main_action(
    server: Server, new_browser: Browser, name: str, size: tuple[int, int]
) -> None:
    moved = shifts_of(new_browser, server, name, size)
    assert {what: v for what, v in moved.items() if v > MOST_SHIFT} == {}
