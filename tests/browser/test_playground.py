"""The playground in Chromium: a strip by mouse and keyboard, and prompts that harm."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.clicks import (
    LOADED_MS,
    answered,
    button,
    expect_feature,
    expect_still,
    point_at,
    press,
    write,
)
from benchmarks.screens import box, expect_unmoved, tops
from tests.browser.conftest import Server, Theme, visit
from tinysae.library.shipped_stories import read_stories
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.model.text.generate import GenerateSettings, next_token_probs
from tinysae.model.text.logprobs import next_logits
from tinysae.render.numbers import percent
from tinysae.words import text

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def opened(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/playground")
    see_tokens(page)


def see_tokens(page: Page) -> None:
    """Until they stay the ones they are."""
    expect(tokens(page).first).to_be_visible(timeout=LOADED_MS)
    expect_still(page)


def tokens(page: Page) -> Locator:
    """Those of the first text on the page."""
    return page.get_by_role("listbox").first.get_by_role("option")


def card(page: Page) -> Locator:
    """The first text's."""
    return page.get_by_role("tooltip", include_hidden=True).first


def word(page: Page) -> Locator:
    """The place of the word that is pointed at."""
    return page.locator("[class*=st-key-write_word_tapped]").first


def expect_strip(page: Page, start: str) -> None:
    """The first text on the page begins so."""
    strip = page.get_by_role("listbox").first
    expect(strip).to_have_text(re.compile(f"^{re.escape(start)}"), timeout=LOADED_MS)


def strip_text(page: Page) -> str:
    return "".join(tokens(page).evaluate_all("all => all.map(one => one.textContent)"))


def ask(page: Page, prompt: str) -> None:
    """Another prompt, and all that the page says of it."""
    field = page.get_by_role("textbox", name=text("playground.prompt", "en"))
    field.fill(prompt)
    with answered(page):
        field.press("Control+Enter")


def open_more(page: Page) -> None:
    """What is set once a week."""
    expect_still(page)
    more = page.get_by_test_id("stMain").get_by_test_id("stPopoverButton").first
    more.click(timeout=LOADED_MS)


def close_more(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stPopoverBody")).to_have_count(0, timeout=LOADED_MS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_strip_shows_its_card_on_hover_and_by_keyboard(
    quiet_server: Server, browser: Browser, theme: Theme
) -> None:
    with visit(browser, theme=theme) as reader:
        page = reader.page
        opened(page, quiet_server)
        expect_strip(page, text("playground.prompt_default", "en"))
        write(page)
        expect(card(page)).to_be_hidden()
        tokens(page).nth(3).hover()
        for label in ("log_prob", "prob", "rank", "alternatives"):
            expect(card(page)).to_contain_text(text(f"playground.{label}", "en"))
        expect(card(page)).to_contain_text(
            re.compile(r"[1-9]\d*(st|nd|rd|th) of 2,048")
        )
        page.mouse.move(0, 0)
        expect(card(page)).to_be_hidden()

        # One stop of the Tab key; arrows move on from it. What stands beside the text
        # says what the card would, and more.
        tokens(page).first.focus()
        page.keyboard.press("ArrowRight")
        expect(tokens(page).nth(1)).to_be_focused()
        upon = text("playground.pinned", "en", token="upon")
        expect(word(page).get_by_role("heading", name=upon)).to_be_visible()
        for label in ("log_prob", "prob", "rank", "then", "features"):
            expect(word(page)).to_contain_text(text(f"playground.{label}", "en"))
        expect(card(page)).to_be_hidden()
        expect_still(page)
        page.keyboard.press("End")
        expect(tokens(page).last).to_be_focused()
        first = page.get_by_role("listbox").first
        assert first.locator(".token[tabindex='0']").count() == 1
        reader.assert_clean()


SELECTED = """list => {
  const selection = getSelection();
  selection.selectAllChildren(list);
  return selection.toString();
}"""
COLOURED = """tokens => tokens.map(token =>
  [...token.getClientRects()].filter(({ width }) => width > 0.5).length)"""


def test_a_space_that_ends_a_line_has_no_colour_and_is_copied_all_the_same(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        # Home's story comes token by token.
        n_tokens = len(read_stories().stories[0].texts)
        expect(tokens(page)).to_have_count(n_tokens, timeout=LOADED_MS)
        expect_still(page)
        story = page.get_by_role("listbox").first
        # So many lines that words with a space before them begin some.
        lines = {round(box(token)[1]) for token in tokens(page).all()}
        assert len(lines) > 4
        assert set(tokens(page).evaluate_all(COLOURED)) == {1}
        assert story.evaluate(SELECTED) == strip_text(page)


def test_on_a_phone_a_words_sheet_opens_at_the_foot_and_is_closed_again(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/playground")
        see_tokens(page)
        point_at(tokens(page).nth(4))
        expect(word(page)).to_be_visible(timeout=LOADED_MS)
        page.get_by_role("button", name=text("playground.close", "en")).click()
        expect(word(page)).to_have_count(0, timeout=LOADED_MS)


def test_hostile_prompt_is_shown_and_never_run(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        ask(page, f"{HOSTILE} 한국어")
        expect(tokens(page).first).to_have_text("<", timeout=LOADED_MS)
        write(page)
        expect_strip(page, f"{HOSTILE} 한국어")
        tokens(page).nth(2).hover()
        expect(card(page)).to_be_visible()
        expect(page.get_by_test_id("stMain")).to_contain_text("onerror=alert(1)")
        assert page.locator("img[src='x']").count() == 0
        reader.assert_clean()


def test_bars_keep_their_elements_while_they_change(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        rows = page.locator(".bars li")
        expect(rows).to_have_count(8)
        rows.first.evaluate("row => { row.dataset.seen = 'before'; }")
        open_more(page)
        page.get_by_role("spinbutton", name=text("playground.top_k", "en")).fill("3")
        page.keyboard.press("Enter")
        expect(page.locator(".bars li.cut")).to_have_count(5, timeout=LOADED_MS)
        expect(rows.first).to_have_attribute("data-seen", "before")
        reader.assert_clean()


def test_bars_follow_the_slider_while_it_is_dragged(
    quiet_server: Server, browser: Browser
) -> None:
    model = load_model(STORYBOOK)
    logits = next_logits(model, model.encode(text("playground.prompt_default", "en")))
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        # The first bars may have come before the model.
        write(page)
        slider = page.get_by_role("slider", name=text("playground.temperature", "en"))
        row = page.locator(".bars .value").first
        place = slider.locator("xpath=ancestor::*[@role='group'][1]").bounding_box()
        assert place is not None
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        # In one move: its value is the last one as soon as it is another.
        before = slider.input_value()
        page.mouse.move(x + place["width"] / 4, y)
        expect(slider).not_to_have_value(before)
        settings = GenerateSettings(temperature=float(slider.input_value()))
        assert settings.temperature > 1.2
        wanted = 100 * float(next_token_probs(logits, settings).max())
        assert wanted < 58
        # The rest is known in bins, to a thousandth.
        page.wait_for_function(
            "([row, wanted]) => Math.abs(parseFloat(row.textContent) - wanted) < 0.2",
            arg=[row.element_handle(), wanted],
        )
        page.mouse.up()
        expect(row).to_have_text(percent(wanted / 100))
        reader.assert_clean()


def test_phone_needs_no_sideways_scrolling(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        # On a phone the links are behind a button.
        page.goto(f"{quiet_server.url}/playground")
        see_tokens(page)
        write(page)
        tokens(page).nth(5).hover()
        expect(card(page)).to_be_visible()
        box = card(page).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not reader.outside


@pytest.mark.parametrize("width", [1280, 390])
def test_a_click_on_a_token_leads_to_a_feature_that_is_active_there(
    quiet_server: Server, browser: Browser, width: int
) -> None:
    with visit(browser, width=width) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/playground")
        see_tokens(page)
        point_at(tokens(page).nth(8))
        links = word(page).locator("a[href*='feature=']")
        expect(links.first).to_be_visible(timeout=LOADED_MS)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shown = re.search(r"feature=(\d+)", links.first.get_attribute("href") or "")
        assert shown is not None
        links.first.click()
        expect_feature(page, int(shown[1]))
        page.wait_for_function("location.search.includes('run=storybook')")
        assert not reader.outside
        assert not reader.errors


def view(page: Page, server: Server, name: str) -> None:
    opened(page, server)
    choose_view(page, name)


def choose_view(page: Page, name: str) -> None:
    label = text(f"playground.view_{name}", "en")
    with answered(page):
        page.get_by_role("radio", name=label, exact=True).click()


def test_stop_keeps_what_is_written(quiet_server: Server, browser: Browser) -> None:
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        open_more(page)
        length = page.get_by_role(
            "spinbutton", name=text("playground.max_new_tokens", "en")
        )
        length.fill("1000")
        with answered(page):
            page.keyboard.press("Enter")
        samples = page.get_by_role("slider", name=text("playground.n_samples", "en"))
        with answered(page):
            samples.press("End")
        close_more(page)
        main = page.get_by_test_id("stMain")
        # The tutorial's stories take a few hundred tokens: ten of them take seconds.
        stop = button(page, "playground.stop")
        press(button(page, "playground.generate"), stop.is_visible)
        press(stop, stop.is_hidden)
        expect_still(page)
        stopped = text("playground.ended_stopped", "en", n="N").split("N")[1]
        expect(main.get_by_text(stopped).first).to_be_visible(timeout=LOADED_MS)
        last = page.get_by_role("listbox", name=text("playground.story", "en", n=10))
        expect(last.locator(".token.highlighted")).to_have_count(1, timeout=LOADED_MS)
        reader.assert_clean()


def test_a_token_is_pinned_by_keyboard(quiet_server: Server, browser: Browser) -> None:
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        # A strip that comes a second time, with the page's end, has no focus.
        expect_still(page)
        tokens(page).first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        # The second token of the prompt.
        pinned = text("playground.pinned", "en", token="upon")
        heading = page.get_by_role("heading", name=pinned)
        expect(heading).to_be_visible(timeout=LOADED_MS)
        expect(tokens(page).nth(1)).to_be_focused()
        reader.assert_clean()


def test_tokens_follow_every_pause_in_typing(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        open_more(page)
        with answered(page):
            page.get_by_text(text("playground.typed", "en")).click()
        # Until it is there, what is typed is nobody's.
        expect(page.locator("[data-as-typed]")).to_be_attached(timeout=LOADED_MS)
        strip = page.get_by_role("listbox", name=text("tokens.label", "en"))
        expect(strip).to_be_visible(timeout=LOADED_MS)
        close_more(page)
        field = page.get_by_role("textbox", name=text("playground.prompt", "en"))
        field.focus()
        page.keyboard.press("Control+End")
        page.keyboard.type(" 안녕 🎈")
        wanted = text("playground.prompt_default", "en") + " 안녕 🎈"
        # Without leaving the field.
        expect(strip).to_have_text(wanted, timeout=LOADED_MS)
        expect(field).to_be_focused()
        reader.assert_clean()


def test_circuitsvis_draws_offline_and_its_tokens_stay_text(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        opened(page, quiet_server)
        ask(page, HOSTILE)
        expect(tokens(page).first).to_have_text("<", timeout=LOADED_MS)
        for drawing, shown in {"circuitsvis": "script", "attention": "Head"}.items():
            label = text(f"playground.drawing_{drawing}", "en")
            open_more(page)
            page.get_by_role("radio", name=label, exact=True).click()
            frame = f"iframe[title='{label}']"
            expect(page.locator(frame)).to_have_attribute(
                "sandbox", "allow-scripts", timeout=LOADED_MS
            )
            drawn = page.frame_locator(frame).locator("body")
            expect(drawn).to_contain_text(shown, timeout=LOADED_MS)
            close_more(page)
        assert not reader.outside
        assert not reader.dialogs
        assert not reader.errors


def test_a_suite_is_run_and_saved(quiet_server: Server, browser: Browser) -> None:
    with visit(browser) as reader:
        page = reader.page
        view(page, quiet_server, "ranks")
        run = page.get_by_role("button", name=text("playground.suite_run", "en"))
        run.click(timeout=LOADED_MS)
        expect(page.get_by_test_id("stMetric")).to_have_count(3, timeout=LOADED_MS)
        with page.expect_download() as download:
            page.get_by_test_id("stDownloadButton").get_by_role("button").click()
        saved = download.value.path().read_text(encoding="utf-8-sig")
        assert saved.startswith("prompt,answer,rank,prob")
        assert not reader.outside


def test_no_view_scrolls_sideways_on_a_phone(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        opened(page, quiet_server)
        for name, done in {"ranks": "suite", "compare": "second_text"}.items():
            choose_view(page, name)
            heading = page.get_by_role("heading", name=text(f"playground.{done}", "en"))
            expect(heading).to_be_visible(timeout=LOADED_MS)
            expect_still(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not reader.outside


def test_a_shared_link_opens_the_same_page(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        view(page, quiet_server, "compare")
        other = page.get_by_role("textbox", name=text("playground.other", "en"))
        other.fill("A dog named Max.")
        with answered(page):
            other.press("Control+Enter")
        strips = page.get_by_role("listbox")
        expect(strips.nth(1)).to_have_text("A dog named Max.", timeout=LOADED_MS)
        expect_still(page)
        page.get_by_role("button", name=text("playground.share", "en")).click()
        link = page.get_by_test_id("stCode").first
        expect(link).to_contain_text("/playground?play=", timeout=LOADED_MS)
        expect_still(page)
        address = link.inner_text().strip()
    with visit(browser) as reader:
        reader.page.goto(address)
        strips = reader.page.get_by_role("listbox")
        expect(strips.nth(1)).to_have_text("A dog named Max.", timeout=LOADED_MS)
        assert not reader.outside
        assert not reader.errors


def test_two_clicks_from_home_are_the_features_at_work_in_a_word(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        way = page.locator(".st-key-home_way_playground a")
        way.click(timeout=LOADED_MS)
        # The stories that are there appear word by word, their surprises coloured.
        expect(page.locator(".replay").first).to_be_visible(timeout=LOADED_MS)
        point_at(tokens(page).nth(15))
        links = word(page).locator("a[href*='feature=']")
        expect(links.first).to_be_visible(timeout=LOADED_MS)
        reader.assert_clean()


def test_neither_pointing_nor_writing_moves_what_stands_above(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=1440, height=900) as reader:
        page = reader.page
        opened(page, quiet_server)
        main = page.get_by_test_id("stMain")
        elements = {
            "prompt": main.get_by_role("textbox"),
            "temperature": main.locator(".st-key-write_slider"),
            "next": main.locator(".bars"),
            "story": main.locator(".st-key-write_story_0"),
            "second": main.locator(".st-key-write_story_1"),
            "word": main.locator("[class*=st-key-write_word]").first,
        }
        expect_still(page)
        before = tops(elements)
        point_at(tokens(page).nth(20))
        expect(word(page).locator("h3").first).to_be_visible(timeout=LOADED_MS)
        expect_unmoved(before, elements)
        write(page)
        expect_still(page)
        expect_unmoved(before, elements)
        slider = main.get_by_role("slider")
        with answered(page):
            slider.press("ArrowRight")
        expect(slider).to_have_value("1.05")
        expect_unmoved(before, elements)
        reader.assert_clean()
