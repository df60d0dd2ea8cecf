"""axe-core over every page, in both themes.

Nothing is left out: what Streamlit itself draws too pale is mended in
`ui/shell/page.py`.
"""

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.accessibility import COLOUR_RULES, VIEWS, open_view, violations
from benchmarks.browser import Server, Theme, visit
from benchmarks.clicks import LOADED_MS, expect_still
from tinysae.render.palette import BACKGROUND


@pytest.mark.parametrize("name", VIEWS)
def test_no_page_has_a_serious_violation(
    quiet_server: Server, browser: Browser, name: str
) -> None:
    with visit(browser) as reader:
        open_view(reader.page, quiet_server, name)
        assert not violations(reader.page)
        turn(reader.page, "dark")
        assert not violations(reader.page, COLOUR_RULES)
        assert not reader.outside


def turn(page: Page, theme: Theme) -> None:
    """What the reader's system prefers now; the page follows without being loaded."""
    page.emulate_media(color_scheme=theme)
    expect_theme(page, theme)
    # Charts are drawn anew.
    expect_still(page)


def expect_theme(page: Page, theme: Theme) -> None:
    red, green, blue = (int(BACKGROUND[theme][i : i + 2], 16) for i in (1, 3, 5))
    expect(page.get_by_test_id("stApp")).to_have_css(
        "background-color", f"rgb({red}, {green}, {blue})", timeout=LOADED_MS
    )
