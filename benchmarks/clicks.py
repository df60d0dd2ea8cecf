"""What a reader does on the pages, and what they wait for: for benchmarks and tests."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from benchmarks.asked import LOADED_MS, LOOK_MS, answered, expect_still
from tinysae.words import LANGUAGES, Language, text

# A click that nothing came of for so long was lost.
AGAIN_S, TRIES = 45, 4
_PLAY = "|".join(f"^{re.escape(text('why.machine_play', each))}$" for each in LANGUAGES)


def go_to(page: Page, name: str, language: Language = "en") -> None:
    """By the sidebar, as a reader does."""
    sidebar = page.get_by_test_id("stSidebar")
    link = text(f"common.nav_{name}", language)
    sidebar.get_by_role("link", name=link, exact=True).click()
    title = text(f"{name}.title", language)
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible(
        timeout=LOADED_MS
    )


def open_from_home(page: Page, address: str, name: str) -> None:
    """By its link: a deep link makes Streamlit ask for addresses that are not there.

    Until all of it is drawn: home shows texts and bars of its own, which go when the
    other page's come.
    """
    page.goto(address)
    go_to(page, name)
    expect_still(page)


def button(page: Page, key: str) -> Locator:
    """The page's own: Streamlit shows a Stop of its own while a script runs long."""
    main = page.get_by_test_id("stMain")
    return main.get_by_role("button", name=text(key, "en"), exact=True)


def press(locator: Locator, works: Callable[[], bool]) -> None:
    """Clicks, and as a reader would once more where nothing came of it: Streamlit lets
    go of a click that meets the end of a rerun.

    Raises:
        TimeoutError: nothing comes of it.
    """
    for n in range(TRIES):
        # What has gone meanwhile was not lost: it is on its way.
        if n == 0 or locator.is_visible():
            locator.click(timeout=LOADED_MS)
        deadline = time.monotonic() + AGAIN_S
        while time.monotonic() < deadline:
            if works():
                return
            locator.page.wait_for_timeout(LOOK_MS)
    raise TimeoutError(f"nothing comes of a click on {locator}")


def expect_played(page: Page) -> None:
    """The picture of Inside has come to its end, from which nothing moves by itself."""
    expect(page.locator("svg .answer").first).to_be_visible(timeout=LOADED_MS)
    # It plays when it is new, and can be played again when that is over.
    play = page.get_by_role("button", name=re.compile(_PLAY))
    expect(play).to_be_visible(timeout=LOADED_MS)


def point_at(token: Locator) -> None:
    """Clicks a token of a strip; it is then the one that the page tells more of."""
    expect(token).to_be_visible(timeout=LOADED_MS)
    expect_still(token.page)
    with answered(token.page):
        press(token, lambda: token.get_attribute("aria-selected") == "true")


def write(page: Page) -> None:
    """Presses Write, and waits until all stories are there."""
    expect_still(page)
    stop = button(page, "playground.stop")
    press(button(page, "playground.generate"), stop.is_visible)
    expect(stop).to_have_count(0, timeout=LOADED_MS)
    expect(page.locator(".token.highlighted").first).to_be_visible(timeout=LOADED_MS)
    expect_still(page)


def write_a_story(page: Page) -> None:
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options.first).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    slider = page.get_by_role("slider", name=text("playground.temperature", "en"))
    with answered(page):
        slider.press("Home")
    greedy = text("playground.temperature_greedy", "en")
    # A phone has no room for it.
    expect(page.get_by_text(greedy[:30])).to_be_attached(timeout=LOADED_MS)
    write(page)
    point_at(page.locator(".token.highlighted").first)
    feature = page.locator("[class*=st-key-write_feature_] a").first
    expect(feature).to_be_visible(timeout=LOADED_MS)


def expect_keys(page: Page) -> None:
    """The page's keys are listened to; what shows them may be there before."""
    page.wait_for_function("window.tinysaeKeys", timeout=LOADED_MS)
    expect_still(page)


def expect_curves(page: Page) -> None:
    # MSE, L1, L0, explained variance, dead features; the CE-loss score comes later.
    lines = page.locator(".js-plotly-plot .scatterlayer path.js-line")
    expect(lines.nth(4)).to_be_attached(timeout=LOADED_MS)


def expect_written(page: Page) -> None:
    """A story that appears word by word is there to its last word."""
    last = page.locator(".replay .token").last
    last.evaluate(
        "(token) => Promise.all(token.getAnimations().map((a) => a.finished))"
    )


def way_to_features(page: Page, key: str = "train.explore") -> Locator:
    """The link beside a run: of one that is done, or (`train.explore_end`) whose
    training has ended. Its name begins with its icon's."""
    return page.get_by_role("link", name=re.compile(re.escape(text(key, "en")) + "$"))


def expect_at_rest(page: Page) -> None:
    """Nothing fades or moves any more, but for what does so for ever."""
    page.wait_for_function(
        """() => document.getAnimations().every((each) =>
          each.playState !== "running"
          || each.effect.getComputedTiming().endTime === Infinity)""",
        timeout=LOADED_MS,
    )


def open_first_feature(page: Page, key: str = "train.explore") -> None:
    """By the link beside a run, then the first of the list."""
    way_to_features(page, key).click()
    expect(page.locator(".card").first).to_be_visible(timeout=LOADED_MS)
    page.locator(".card").first.click()
    expect(page.locator(".panel .passage").first).to_be_visible(timeout=LOADED_MS)


def expect_feature(page: Page, feature: int, language: Language = "en") -> None:
    """The panel of the features page shows it."""
    title = text("features.one", language, feature=feature)
    expect(page.get_by_role("region", name=title, exact=True)).to_be_visible(
        timeout=LOADED_MS
    )
