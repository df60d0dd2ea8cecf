"""The Why page in Chromium: why, what if and steer, as a reader goes through them."""

import re

from playwright.sync_api import Browser, Page, expect

from benchmarks.clicks import LOADED_MS
from tests.browser.conftest import Server, visit
from tinysae.words import text

PHONE = 390


def see(page: Page, key: str) -> None:
    heading = page.get_by_role("heading", name=text(key, "en"), exact=True)
    expect(heading).to_be_visible(timeout=LOADED_MS)


def choose_view(page: Page, name: str) -> None:
    label = text(f"why.view_{name}", "en")
    page.get_by_role("radio", name=label, exact=True).click()


def test_a_reader_asks_why_switches_it_off_and_steers(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        page.get_by_role("link", name=text("common.nav_why", "en")).first.click()
        see(page, "why.bars")
        main = page.get_by_test_id("stMain")
        expect(main.get_by_text("“␣Lily” with 95")).to_be_visible(timeout=LOADED_MS)
        with page.expect_download() as download:
            page.get_by_role("button", name=text("why.svg", "en")).click()
        saved = download.value.path().read_text(encoding="utf-8")
        assert saved.startswith("<svg xmlns=")
        assert "feature" in saved

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
        options.nth(5).click()
        link = page.get_by_role("link", name=text("why.token_link", "en"))
        link.click(timeout=LOADED_MS)
        see(page, "why.bars")
        prompt = page.get_by_label(text("why.prompt", "en"))
        wanted = text("playground.prompt_default", "en")
        assert wanted.startswith(prompt.input_value())
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE
