"""Ways through the pages: the address goes along, and each place begins at its top."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.clicks import answered, expect_still, point_at, write
from tests.browser.conftest import Server, visit
from tests.browser.test_lessons import LOADED_MS, PHONE
from tinysae.lessons.lesson_file import FIRST, load_lesson
from tinysae.words import text

SCROLLED = "document.querySelector('[data-testid=stMain]').scrollTop"
MAP = ".tinysae-live [role=img]"
# Where on the screen one of the map's features lies: [x, y].
A_FEATURE = f"""
    () => {{
        const chart = document.querySelector("{MAP}");
        const {{ xaxis, yaxis }} = chart._fullLayout;
        const at = chart.getBoundingClientRect();
        const [trace] = chart.data;
        // The leftmost lies apart from most others.
        const point = trace.x.indexOf(Math.min(...trace.x));
        return [
            at.x + xaxis._offset + xaxis.l2p(trace.x[point]),
            at.y + yaxis._offset + yaxis.l2p(trace.y[point]),
        ];
    }}
"""


def nav(page: Page, name: str) -> Locator:
    sidebar = page.get_by_test_id("stSidebar")
    return sidebar.get_by_role("link", name=text(f"common.nav_{name}", "en"))


def press(page: Page, key: str) -> None:
    page.get_by_role("button", name=text(key, "en"), exact=True).click()


def begin(page: Page, place: int) -> None:
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(text("lessons.title", "en"), timeout=LOADED_MS)
    expect_still(page)
    page.get_by_role("link", name=text("lessons.begin", "en")).nth(place).click()


def see(page: Page, name: str, number: int) -> None:
    """Wait until the step is there, and the address says so."""
    step = load_lesson(name).steps[number - 1]
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(step.title["en"], timeout=LOADED_MS)
    expect_still(page)
    expect(page).to_have_url(re.compile(rf"lesson={name}\b"))


def test_a_lesson_that_is_begun_from_the_list_goes_on_and_back(
    server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        page.goto(server.url)
        nav(page, "lessons").click(timeout=LOADED_MS)
        begin(page, FIRST.index("names"))
        see(page, "names", 1)
        press(page, "lessons.next")
        see(page, "names", 2)
        expect(page).to_have_url(re.compile("step=2"))
        # Its heading is in sight.
        expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
        page.wait_for_function(f"{SCROLLED} === 0")
        press(page, "lessons.previous")
        see(page, "names", 1)
        page.get_by_role("link", name=text("lessons.all", "en")).click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text(text("lessons.title", "en"), timeout=LOADED_MS)
        expect_still(page)
        assert "lesson=" not in page.evaluate("location.search")
        go_on = text("lessons.go_on", "en", step=1)
        page.get_by_role("link", name=go_on).click()
        see(page, "names", 1)
        reader.assert_clean()


def test_from_one_lesson_to_another_previous_stays_in_the_other(
    server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/lessons?lesson=names&step=3")
        see(page, "names", 3)
        page.get_by_role("link", name=text("lessons.all", "en")).click()
        other = next(name for name in FIRST if name not in ("names", "train"))
        # The first has been begun: it says "Go on".
        begin(page, [name for name in FIRST if name != "names"].index(other))
        see(page, other, 1)
        press(page, "lessons.next")
        see(page, other, 2)
        press(page, "lessons.previous")
        see(page, other, 1)
        reader.assert_clean()


def test_the_menu_closes_on_a_phone_when_it_has_led_somewhere(
    quiet_server: Server, browser: Browser
):
    with visit(browser, width=PHONE, height=844) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        for name in ("train", "lessons"):
            expect_still(page)
            page.get_by_test_id("stExpandSidebarButton").click(timeout=LOADED_MS)
            nav(page, name).click()
            title = text(f"{name}.title", "en")
            heading = page.get_by_role("heading", level=1)
            expect(heading).to_have_text(title, timeout=LOADED_MS)
            expect(nav(page, name)).not_to_be_in_viewport()


def test_a_feature_of_the_map_opens_beside_it_and_the_page_stays_where_it_is(
    quiet_server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/features?view=map")
        page.wait_for_selector(
            f"{MAP} .hoverlayer", state="attached", timeout=LOADED_MS
        )
        panel = page.locator(".panel[data-feature]")
        expect(panel).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        first = panel.get_attribute("data-feature")
        page.get_by_test_id("stMain").evaluate("main => main.scrollTop = 60")
        before = page.evaluate(SCROLLED)
        assert before > 0
        at = page.evaluate(A_FEATURE)
        page.mouse.move(*at)
        expect(page.locator(".hovertext")).to_be_visible()
        page.mouse.click(*at)
        expect(page).to_have_url(re.compile("feature="), timeout=LOADED_MS)
        feature = re.search(r"feature=(\d+)", page.evaluate("location.search"))
        assert feature is not None
        expect(panel).to_have_attribute("data-feature", feature[1])
        expect_still(page)
        assert page.evaluate(SCROLLED) == before
        with answered(page):
            page.go_back()
        expect(panel).to_have_attribute("data-feature", first or "")
        expect_still(page)
        assert page.evaluate(SCROLLED) == before
        reader.assert_clean()


@pytest.mark.parametrize("by_key", [False, True])
def test_the_card_of_a_clicked_token_leaves_the_panel_free(
    quiet_server: Server, browser: Browser, by_key: bool
):
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/playground")
        token = page.get_by_role("option").nth(5)
        expect(token).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        if by_key:
            token.focus()
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
        else:
            point_at(token)
        link = page.get_by_role("link", name=text("why.token_link", "en"))
        expect(link).to_be_visible(timeout=LOADED_MS)
        expect(page.get_by_role("tooltip")).to_be_hidden()


def test_a_reload_of_the_playground_keeps_prompt_and_samples(
    quiet_server: Server, browser: Browser
):
    prompt = "The dog saw a cat."
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/playground")
        field = page.get_by_role("textbox", name=text("playground.prompt", "en"))
        expect(field).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        field.fill(prompt)
        with answered(page):
            field.press("Control+Enter")
        strip = page.get_by_role("listbox").first
        expect(strip).to_have_text(prompt, timeout=LOADED_MS)
        write(page)
        written = strip.inner_text()
        expect(page).to_have_url(re.compile(r"\?play="))
        entries = page.evaluate("history.length")
        page.reload()
        expect(field).to_have_value(prompt, timeout=LOADED_MS)
        expect(strip).to_have_text(written, timeout=LOADED_MS)
        # What is typed is no step of its own for Back.
        expect_still(page)
        field.fill(f"{prompt} Then")
        with answered(page):
            field.press("Control+Enter")
        expect(field).to_have_value(f"{prompt} Then")
        assert page.evaluate("history.length") == entries
        reader.assert_clean()
