"""The home page in Chromium: themes, languages, a phone, and no other host."""

import http.client
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from benchmarks.clicks import (
    LOADED_MS,
    answered,
    expect_feature,
    expect_keys,
    expect_still,
    go_to,
    open_from_home,
)
from tests.browser.conftest import Server, Theme, visit
from tests.browser.test_accessibility import expect_theme
from tinysae.config import TrainConfig
from tinysae.features.names.showcase import read_showcases
from tinysae.library.shipped import STORYBOOK_FEATURES_DIR
from tinysae.runs.store import create_run
from tinysae.ui.shell.i18n import NAMES
from tinysae.words import Language, text

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<b>b</b> _i_ ~~s~~ `c`",
    "[a](https://example.com) www.example.com me@example.com $x^2$",
    ":red[r] :smile: :material/home:",
)
THEMES: tuple[Theme, ...] = ("light", "dark")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("locale", "language"), [("en-US", "en"), ("ko-KR", "ko")])
def test_home_speaks_the_browsers_language_in_its_theme(
    quiet_server: Server,
    browser: Browser,
    theme: Theme,
    locale: str,
    language: Language,
):
    with visit(browser, theme=theme, locale=locale) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text(text("home.title", language), timeout=LOADED_MS)
        page.wait_for_function(f"() => document.documentElement.lang === '{language}'")
        icon = page.locator("link[rel~=icon]")
        expect(icon).to_have_attribute("href", "app/static/icon.png")
        expect_theme(page, theme)
        page.wait_for_function(
            "() => [...document.fonts].some(f => f.family.includes('Figtree')"
            " && f.status === 'loaded')"
        )
        reader.assert_clean()


def test_the_chosen_theme_holds_on_every_page_that_is_opened(
    quiet_server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        open_from_home(page, quiet_server.url, "lessons")
        choose_theme(page, "dark")
        for path in ("lessons", "experiments", ""):
            page.goto(f"{quiet_server.url}/{path}")
            expect_theme(page, "dark")
            expect_still(page)
        # Another choice, on another page than the first, is the one that counts.
        choose_theme(page, "light")
        page.goto(f"{quiet_server.url}/lessons")
        expect_theme(page, "light")
        reader.assert_clean()


def choose_theme(page: Page, theme: Theme) -> None:
    """In Streamlit's own menu, as a reader does."""
    page.get_by_test_id("stMainMenuButton").click()
    page.get_by_test_id(f"stMainMenuItem-theme-{theme.title()}").click()
    expect_theme(page, theme)
    page.keyboard.press("Escape")


def test_an_open_menu_lies_over_no_page_that_is_opened_on_a_phone(
    quiet_server: Server, browser: Browser
):
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        expect_still(page)
        page.get_by_test_id("stExpandSidebarButton").click()
        sidebar = page.get_by_test_id("stSidebar")
        menu = sidebar.get_by_role("link", name=text("common.nav_train", "en"))
        expect(menu).to_be_in_viewport(timeout=LOADED_MS)
        page.reload()
        expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible(
            timeout=LOADED_MS
        )
        expect_still(page)
        expect(menu).not_to_be_in_viewport()
        reader.assert_clean()


def test_hostile_names_of_runs_are_text(
    server: Server, browser: Browser, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    for name in HOSTILE:
        create_run(TrainConfig(name=name))
    with visit(browser) as reader:
        page = reader.page
        page.goto(server.url)
        main = page.get_by_test_id("stMain")
        for name in HOSTILE:
            expect(main).to_contain_text(
                re.compile("\u2060*".join(re.escape(letter) for letter in name)),
                timeout=LOADED_MS,
            )
        expect_still(page)
        links = page.eval_on_selector_all("a", "links => links.map(a => a.hostname)")
        assert set(links) == {"127.0.0.1"}
        assert main.locator("b, em, del, img, .katex, code").count() == 0
        reader.assert_clean()


def test_home_shows_a_feature_at_work_and_opens_it(
    quiet_server: Server, browser: Browser
):
    features = read_showcases(STORYBOOK_FEATURES_DIR)
    with visit(browser) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        tokens = page.get_by_role("listbox").nth(1).get_by_role("option")
        expect(tokens).to_have_count(len(features[0].texts), timeout=LOADED_MS)
        another = text("home.showcase_another", "en")
        expect_still(page)
        with answered(page):
            page.get_by_role("button", name=another).click()
        feature = features[1].feature
        link = text("home.showcase_link", "en", feature=feature)
        page.get_by_role("link", name=link).click(timeout=LOADED_MS)
        expect_feature(page, feature)
        reader.assert_clean()


def test_home_fits_a_phone(quiet_server: Server, browser: Browser):
    with visit(browser, width=390, height=844) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        expect(page.get_by_text(text("home.runs", "en"))).to_be_visible(
            timeout=LOADED_MS
        )
        expect_still(page)
        widest = page.evaluate(
            "() => Math.max(...[...document.querySelectorAll('[data-testid=stMain] *')]"
            ".map(e => e.getBoundingClientRect().right))"
        )
        assert widest <= 390
        reader.assert_clean()


def test_the_chosen_language_survives_a_reload_and_other_pages(
    quiet_server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        expect_still(page)
        page.get_by_role("radio", name="한국어").click(timeout=LOADED_MS)
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text(text("home.title", "ko"), timeout=LOADED_MS)
        expect_still(page)
        page.reload()
        expect(title).to_have_text(text("home.title", "ko"), timeout=LOADED_MS)
        expect_still(page)
        page.get_by_role("link", name=text("common.nav_train", "ko")).first.click()
        expect(title).to_have_text(text("train.title", "ko"), timeout=LOADED_MS)
        expect_still(page)
        page.go_back()
        expect(title).to_have_text(text("home.title", "ko"), timeout=LOADED_MS)
        reader.assert_clean()


def test_what_was_chosen_stays_chosen_in_another_language(
    quiet_server: Server, browser: Browser
):
    with visit(browser, width=1440) as reader:
        page = reader.page
        open_from_home(page, quiet_server.url, "train")
        with answered(page):
            # What is clicked is the whole card, which lies over its parts.
            preset(page, "good", "en").locator("xpath=ancestor::label").click()
        choose_language(page, "ko")
        expect(preset(page, "good", "ko")).to_be_checked()
        # A browser that knew it by its old name would lose it at the next answer.
        choose_language(page, "en")
        expect(preset(page, "good", "en")).to_be_checked()
        go_to(page, "experiments")
        page.get_by_role("tab", name=text("experiments.view_sweep", "en")).click()
        base = page.get_by_role("combobox", name=text("sweep.base", "en"))
        expect(base).to_have_value(text("train.preset_look", "en"), timeout=LOADED_MS)
        choose_language(page, "ko")
        base = page.get_by_role("combobox", name=text("sweep.base", "ko"))
        expect(base).to_have_value(text("train.preset_look", "ko"))
        reader.assert_clean()


def preset(page: Page, key: str, language: Language) -> Locator:
    name = text(f"train.preset_{key}", language)
    return page.get_by_role("radio", name=re.compile(f"^{name}"))


def choose_language(page: Page, language: Language) -> None:
    """By the sidebar's picker, until all of the page speaks it."""
    expect_still(page)
    with answered(page):
        page.get_by_role("radio", name=NAMES[language], exact=True).click()
    expect_still(page)


def test_a_question_mark_opens_what_a_page_can_do(
    quiet_server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        page.goto(quiet_server.url)
        lines = text("keys.can_home", "en").splitlines()
        keys = page.get_by_role("button", name=text("keys.open", "en"))
        expect(keys).to_be_visible(timeout=LOADED_MS)
        expect_keys(page)
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog")
        for line in lines:
            expect(dialog).to_contain_text(line, timeout=LOADED_MS)
        field = dialog.get_by_role("textbox", name=text("keys.search", "en"))
        field.fill("lesson")
        with answered(page):
            field.press("Enter")
        expect(dialog).not_to_contain_text(lines[0], timeout=LOADED_MS)
        expect(dialog).to_contain_text(lines[1])
        # A question mark that is typed is a letter.
        field.press_sequentially("?")
        expect(field).to_have_value("lesson?")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        reader.assert_clean()


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 101), ("evil.example", 403)]
)
def test_only_names_of_this_machine_may_open_a_session(
    quiet_server: Server, host: str, status: int
):
    # A page of another site that makes its own name lead here (DNS rebinding) still
    # sends its own name.
    port = urlsplit(quiet_server.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(
        "GET",
        "/_stcore/stream",
        headers={
            "Host": f"{host}:{port}",
            "Origin": f"http://{host}:{port}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    assert connection.getresponse().status == status
    connection.close()


def test_the_server_listens_on_this_machine_only(quiet_server: Server):
    port = urlsplit(quiet_server.url).port
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    listening = [
        line.split()[1].split(":")[0]
        for table in tables
        if table.is_file()
        for line in table.read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]
    # 127.0.0.1, its bytes from last to first.
    assert set(listening) <= {"0100007F"}
