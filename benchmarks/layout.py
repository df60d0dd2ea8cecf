"""Whether the pages' first screens are whole, and whether anything on them jumps: for
`pages.py`.
"""

from __future__ import annotations

from itertools import product

from playwright.sync_api import Browser, Page, expect

from benchmarks.asked import LOADED_MS, answered, expect_still
from benchmarks.browser import Server, visit
from benchmarks.clicks import expect_played, go_to, point_at, write_a_story
from benchmarks.common import row
from benchmarks.screens import (
    PHONE,
    SCREENS,
    WIDE,
    open_by_clicking,
    outside_window,
    shift,
    watch_shifts,
)
from tinysae.words import text

# Any word of a story that is there at the first visit.
A_WORD = 24


def point_at_a_word(page: Page) -> None:
    """Another one of home's story."""
    word = page.get_by_role("listbox").first.get_by_role("option").nth(A_WORD)
    point_at(word)


def choose_a_card(page: Page) -> None:
    """Another preset of the training page."""
    good = text("train.preset_good", "en")
    cards = page.locator(".st-key-train_preset")
    # Its place is the whole card, its circle is not to be seen by itself.
    card = cards.get_by_test_id("stRadioOption").filter(has_text=good)
    with answered(page):
        card.click(timeout=LOADED_MS)
    expect(cards.get_by_role("radio").nth(1)).to_be_checked(timeout=LOADED_MS)


def choose_a_feature(page: Page) -> None:
    """One further down the list."""
    with answered(page):
        page.locator(".card").nth(3).click()


# A page's main action.
ACTIONS = {
    "home": point_at_a_word,
    "playground": write_a_story,
    "train": choose_a_card,
    "features": choose_a_feature,
}


def layout(browser: Browser, server: Server) -> dict[str, float]:
    """The figures of what a page shows and of how it moves; prints them by page."""
    moved: dict[str, float] = {}
    short = []
    for size, name in product((WIDE, PHONE), SCREENS):
        width, height = size
        with visit(browser, width=width, height=height) as reader:
            page = reader.page
            open_by_clicking(page, server, name, "en")
            wait_for(page, name)
            if outside_window(page, SCREENS[name](page, "en")):
                short.append(f"{name} at {width}")
        found = shifts_of(browser, server, name, size)
        moved |= {f"{what} at {width}": value for what, value in found.items()}
    with visit(browser) as reader:
        clicks = clicks_to_features_of_a_word(reader.page, server)
    worst = max(moved, key=lambda what: moved[what])
    row("layout shift, worst", round(moved[worst], 4), worst)
    for what, value in moved.items():
        row(f"  {what}", round(value, 4))
    row("clicks to the features of a word", clicks)
    row("first screens cut", len(short), ", ".join(short))
    return {
        "cls_worst": round(moved[worst], 4),
        "clicks_to_features_of_a_word": clicks,
        "first_screens_short": len(short),
    }


def shifts_of(
    browser: Browser, server: Server, name: str, size: tuple[int, int]
) -> dict[str, float]:
    """What moves on a page that is opened by its address: in a browser that has never
    seen it, in one that has, and at its main action, if it has one."""
    width, height = size
    with visit(browser, width=width, height=height) as reader:
        page = reader.page
        watch_shifts(page)
        page.goto(f"{server.url}/{'' if name == 'home' else name}")
        wait_for(page, name)
        moved = {name: shift(page)}
        page.goto(page.url)
        wait_for(page, name)
        moved[f"{name}, again"] = shift(page)
        if name in ACTIONS:
            ACTIONS[name](page)
            expect_still(page)
            moved[f"{name}, its action"] = shift(page)
    return moved


def wait_for(page: Page, name: str) -> None:
    """Until all of its first screen is there and nothing runs any more."""
    for locator in SCREENS[name](page, "en").values():
        expect(locator).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    if name == "why":
        expect_played(page)


def clicks_to_features_of_a_word(page: Page, server: Server) -> int:
    """From home to the stories, then on a word of one."""
    page.goto(server.url)
    expect(page.locator(".token").first).to_be_visible(timeout=LOADED_MS)
    n_clicks = 0
    go_to(page, "playground")
    n_clicks += 1
    words = page.locator(".token")
    expect(words.nth(A_WORD)).to_be_visible(timeout=LOADED_MS)
    point_at(words.nth(A_WORD))
    n_clicks += 1
    feature = page.locator("[class*=st-key-write_feature_] a").first
    expect(feature).to_be_visible(timeout=LOADED_MS)
    return n_clicks
