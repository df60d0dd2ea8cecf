"""Every page, in both languages and themes: for the browser tests and the pictures."""

from __future__ import annotations

import itertools
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from benchmarks.browser import Server, Theme, visit
from benchmarks.clicks import (
    LOADED_MS,
    expect_at_rest,
    expect_curves,
    expect_feature,
    expect_played,
    expect_still,
    expect_written,
    go_to,
)
from benchmarks.screens import PHONE, SCREENS, WIDE
from tinysae.words import LANGUAGES, Language, text

LOCALES: dict[Language, str] = {"en": "en-US", "ko": "ko-KR"}
THEMES: tuple[Theme, ...] = ("light", "dark")
# Any feature that fires.
LOOKED_AT = 4


def tour(
    server: Server, browser: Browser, run_id: str, pictures: Path | None = None
) -> None:
    """Look at every page, with a finished run; nothing may be asked of other hosts.

    Args:
        server: it has the run in its home.
        browser: to look with.
        run_id: the run's.
        pictures: the folder for a picture of each page; by default none is taken.

    Raises:
        AssertionError: a page did what it must not, or is wider than a phone.
    """

    def keep(page: Page, name: str) -> None:
        if pictures is not None:
            page.screenshot(path=pictures / f"{name}.png")

    for language, theme in itertools.product(LANGUAGES, THEMES):
        locale = LOCALES[language]
        with visit(
            browser, theme=theme, locale=locale, width=WIDE[0], height=WIDE[1]
        ) as reader:
            page = reader.page
            for name in SCREENS:
                page.goto(server.url)
                if name != "home":
                    go_to(page, name, language)
                settle(page, name, language)
                keep(page, f"{name}-{language}-{theme}")
            page.goto(server.url)
            go_to(page, "lessons", language)
            expect_still(page)
            keep(page, f"lessons-{language}-{theme}")
            open_feature(page, server, run_id, language)
            keep(page, f"feature-{language}-{theme}")
            reader.assert_clean()
    for theme in THEMES:
        with visit(browser, theme=theme, width=PHONE[0], height=PHONE[1]) as reader:
            page = reader.page
            open_feature(page, server, run_id, "en")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE[0]
            keep(page, f"feature-phone-{theme}")
            reader.assert_clean()


def open_feature(page: Page, server: Server, run_id: str, language: Language) -> None:
    """By a deep link."""
    query = f"run={run_id}&feature={LOOKED_AT}&lang={language}"
    page.goto(f"{server.url}/features?{query}")
    expect_feature(page, LOOKED_AT, language)
    expect_still(page)


def settle(page: Page, name: str, language: Language) -> None:
    """Waits for what a reader would wait for on that page."""
    awaited = {
        "home": page.get_by_text(text("home.model_ready", language)),
        "playground": page.get_by_role("option"),
        "train": page.locator(".js-plotly-plot"),
        "experiments": page.locator(".js-plotly-plot .plot-container"),
        "features": page.locator(".card"),
        "why": page.locator("svg .answer"),
    }[name]
    expect(awaited.first).to_be_visible(timeout=LOADED_MS)
    if name == "train":
        expect_curves(page)
    elif name == "why":
        expect_played(page)
    expect_still(page)
    if name == "home":
        expect_written(page)
    expect_at_rest(page)
