"""Inside in Chromium: the picture, parts, what if and steer, as a reader uses them."""

import re
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.clicks import (
    LOADED_MS,
    expect_played,
    expect_still,
    open_from_home,
    point_at,
)
from tests.browser.conftest import Server, visit
from tinysae.words import text

PHONE = 390


def see(page: Page, key: str) -> None:
    heading = page.get_by_role("heading", name=text(key, "en"), exact=True)
    expect(heading).to_be_visible(timeout=LOADED_MS)


def choose_view(page: Page, name: str) -> None:
    expect_still(page)
    label = text(f"why.view_{name}", "en")
    page.get_by_role("tab", name=label, exact=True).click()


def part(page: Page, name: str) -> Locator:
    """A word (w8), a head (h0.0), an arc (a0) or a lamp (l0) of the picture."""
    return page.locator(f'svg [data-id="{name}"]').first


def answer(page: Page) -> Locator:
    """The explained word's probability, on top of the picture."""
    return page.locator("svg .answer0 text.p")


def open_picture(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/why")
    expect(answer(page)).to_be_visible(timeout=LOADED_MS)
    expect_still(page)
    # A new picture plays to its end.
    expect_played(page)


def test_the_picture_says_what_is_seen_and_what_is_lost_without_a_part(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        comes = text(
            "why.machine_comes",
            "en",
            token="Lily",
            word="Lily",
            before="named",
            head="0",
        )
        expect(page.locator(".says")).to_contain_text(comes)
        expect(page.locator("svg[role=group]")).to_have_attribute(
            "aria-label", re.compile(re.escape(comes))
        )
        expect(answer(page)).to_have_text("95.1%")
        about = page.locator(".about")
        part(page, "h0.0").hover()
        expect(about).to_contain_text(text("why.machine_head", "en", layer=0, head=0))
        expect(about).to_contain_text("Measured without it: “Lily” goes from 95.1%")
        top = answer(page).bounding_box()
        part(page, "h0.0").click()
        expect(answer(page)).to_have_text(re.compile(r"^0\.\d%$"))
        assert answer(page).bounding_box()["y"] == top["y"]  # pyright: ignore
        # Once more puts it back.
        part(page, "h0.0").click()
        expect(answer(page)).to_have_text("95.1%")
        assert not reader.outside


def test_the_picture_is_played_and_taken_apart_with_the_keyboard(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        steps = page.locator(".steps button")
        steps.first.click()
        expect(page.locator("svg .answer0")).to_have_class(re.compile("later"))
        page.get_by_role("button", name=text("why.machine_play", "en")).click()
        expect(page.locator("svg .answer0")).not_to_have_class(
            re.compile("later"), timeout=LOADED_MS
        )
        # It goes on with the words that follow; this one has its picture still.
        page.locator(".strip .words button").first.click()
        expect(answer(page)).to_have_text("95.1%")
        word = part(page, "w0")
        word.focus()
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        expect(part(page, "w8")).to_be_focused()
        expect(page.locator(".about")).to_contain_text("“Lily”")
        page.keyboard.press("Enter")
        expect(part(page, "w8")).to_have_attribute("aria-pressed", "true")
        expect(answer(page)).to_have_text(re.compile(r"^0\.\d%$"))
        page.keyboard.press("Escape")
        expect(answer(page)).to_have_text("95.1%")


def test_the_sentence_is_written_on_word_by_word(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        said = page.locator(".strip .words button")
        expect(said).to_have_text(["Lily"])
        about = page.locator(".about").bounding_box()
        assert about is not None
        page.get_by_role("button", name=text("why.machine_play", "en")).click()
        expect(said).to_have_count(3, timeout=LOADED_MS)
        page.get_by_role("button", name=text("why.machine_pause", "en")).click()
        words = page.locator("svg text.word")
        said.nth(1).click()
        expect(words.last).to_have_text("Lily")
        expect(said.nth(1)).to_have_attribute("aria-pressed", "true")
        # What stands below the picture has not moved.
        now = page.locator(".about").bounding_box()
        assert now is not None
        assert now["y"] == about["y"]
        # With the keyboard; the question's own picture is as it was.
        page.keyboard.press("ArrowLeft")
        expect(said.first).to_be_focused()
        expect(words.last).to_have_text("said")
        expect(answer(page)).to_have_text("95.1%")
        # A single word more.
        n = said.count()
        said.last.click()
        more = page.get_by_role("button", name=text("why.machine_next_word", "en"))
        more.click()
        expect(said).to_have_count(n + 1, timeout=LOADED_MS)
        assert not reader.errors


def test_with_reduced_motion_each_press_is_a_step(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.emulate_media(reduced_motion="reduce")
        open_picture(page, quiet_server)
        words = page.locator("svg text.word")
        expect(words.last).to_have_text("said")
        play = page.get_by_role("button", name=text("why.machine_play", "en"))
        play.click()
        expect(words.last).to_have_text("Lily", timeout=LOADED_MS)
        expect(page.locator("svg .answer0")).not_to_have_class(re.compile("later"))
        # Nothing goes on by itself.
        expect(play).to_be_visible()
        page.wait_for_function("document.getAnimations().length === 0")


def test_more_of_the_answer_is_more_of_the_picture(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        slider = page.get_by_role("slider", name=text("why.machine_share", "en"))
        lamps, arcs = page.locator("svg .lamp"), page.locator("svg .arc")
        few = lamps.count(), arcs.count()
        slider.fill("100")
        expect(lamps).to_have_count(15)
        assert arcs.count() > 100
        slider.fill("5")
        expect(arcs).to_have_count(1)
        assert few[0] > lamps.count()


def test_a_lamp_opens_its_feature(quiet_server: Server, browser: Browser) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        part(page, "l0").click()
        page.get_by_role("button", name=text("why.machine_open", "en")).click()
        expect(page).to_have_url(
            re.compile(r"features\?.*feature=\d+"), timeout=LOADED_MS
        )


@pytest.mark.parametrize("width", [1440, PHONE])
def test_the_picture_fits_its_window(
    quiet_server: Server, browser: Browser, width: int
) -> None:
    with visit(browser, width=width) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        page.get_by_role("slider", name=text("why.machine_share", "en")).fill("100")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = page.locator("svg .node, svg .answer").evaluate_all(
            "all => all.map(each => each.getBoundingClientRect().toJSON())"
        )
        assert min(box["left"] for box in boxes) >= 0
        assert max(box["right"] for box in boxes) <= width


def test_a_reader_asks_why_switches_it_off_and_steers(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        open_from_home(page, quiet_server.url, "why")
        expect(page.locator("svg .answer0")).to_be_visible(timeout=LOADED_MS)
        main = page.get_by_test_id("stMain")
        expect(main.get_by_text("“Lily” 95")).to_be_visible(timeout=LOADED_MS)

        choose_view(page, "why")
        see(page, "why.bars")
        with page.expect_download() as download:
            page.get_by_role("button", name=text("why.svg", "en")).click()
        saved = download.value.path().read_text(encoding="utf-8")
        assert saved.startswith("<svg xmlns=")
        assert "732" in saved
        assert text("why.part_sae_error", "en") in saved

        choose_view(page, "whatif")
        see(page, "why.predicted")
        expect(main.get_by_text("goes from 95")).to_be_visible(timeout=LOADED_MS)
        expect(page).to_have_url(re.compile("view=whatif"))

        choose_view(page, "steer")
        see(page, "why.steer_next")
        write = text("why.steer_write", "en")
        page.get_by_role("button", name=write, exact=True).click()
        expect(main.locator("section", has_text="nats a token")).to_have_count(
            5, timeout=LOADED_MS
        )
        assert not reader.outside


def test_a_token_of_the_playground_leads_to_its_why(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=PHONE) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/playground")
        options = page.get_by_role("option")
        expect(options.first).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        point_at(options.nth(5))
        link = page.get_by_role("link", name=text("why.token_link", "en"))
        # A word is chosen from the start: the link leads to that one until the click's
        # answer comes.
        at_word = re.compile(re.escape(f"target={quote_plus(' there')}"))
        expect(link).to_have_attribute("href", at_word, timeout=LOADED_MS)
        link.click()
        expect(page.locator("svg .answer0")).to_be_visible(timeout=LOADED_MS)
        prompt = page.get_by_label(text("why.prompt", "en"))
        wanted = text("playground.prompt_default", "en")
        assert wanted.startswith(prompt.input_value())
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE
