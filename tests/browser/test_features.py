"""The features page in Chromium: clicks, Back, a phone, and tokens that mean harm."""

import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.clicks import (
    LOADED_MS,
    answered,
    expect_feature,
    expect_keys,
    expect_still,
)
from benchmarks.screens import PHONE, WIDE, box
from tests.browser.conftest import Server, visit
from tests.builders import HOSTILE, finished_run, write_model
from tinysae.data.storybook.generator import stories
from tinysae.data.storybook.words import LEXICON
from tinysae.features.index.reader import open_index
from tinysae.features.index.search import find_tokens
from tinysae.features.names.labels import Label
from tinysae.features.names.notes import Note, Notes
from tinysae.features.passages import varied
from tinysae.library.export import ExportOptions, write_export
from tinysae.library.feature_source import embedded_source
from tinysae.render.visible import as_word
from tinysae.runs.store import Run
from tinysae.ui.features.contexts import N_FIRST
from tinysae.words import text

# Of a saved feature: activations, the extreme logits and all of them.
N_DRAWINGS = 3
# Cards on a page of the list, and presses of a key that go beyond what was sent first.
N_CARDS, N_PRESSES = 8, 40


@pytest.fixture
def run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    return finished_run(write_model(tmp_path / "model"), name=HOSTILE[0])


def expect_list(page: Page) -> None:
    expect(page.locator(".card")).to_have_count(N_CARDS, timeout=LOADED_MS)
    expect_still(page)


def open_part(page: Page, part: str) -> None:
    expect_still(page)
    page.get_by_role("radio", name=text(f"features.part_{part}", "en")).click()


def expect_address(page: Page, part: str) -> None:
    """The server has heard of it."""
    page.wait_for_function(f"location.search.includes('{part}')")


def address(page: Page) -> str:
    # `page.url` does not always know of addresses that the page itself sets.
    return page.evaluate("location.search")


def test_clicks_open_features_and_back_leads_out_again(
    server: Server, browser: Browser, run: Run
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/features?run={run.id}&sort=number")
        expect_list(page)
        expect_feature(page, 0)
        page.locator(".card").nth(4).click()
        expect_feature(page, 4)
        expect_address(page, "feature=4")
        expect_still(page)
        page.get_by_role("button", name=text("features.panel_next", "en")).click()
        expect_feature(page, 5)
        expect_address(page, "feature=5")
        expect_still(page)
        with answered(page):
            page.go_back()
        expect_feature(page, 4)
        with answered(page):
            page.go_back()
        expect_feature(page, 0)
        assert address(page) == f"?run={run.id}&sort=number"
        with answered(page):
            page.go_forward()
        expect_feature(page, 4)
        page.reload()
        expect_feature(page, 4)
        assert not reader.outside


def test_arrow_keys_go_through_the_list_and_nothing_moves(
    quiet_server: Server, browser: Browser
) -> None:
    with visit(browser, width=1440) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/features?run=storybook")
        expect_list(page)
        with answered(page):
            page.locator(".card").first.click()
        before = {name: box(page.locator(name)) for name in (".list", ".panel .strips")}
        for _ in range(N_PRESSES):
            page.keyboard.press("ArrowDown")
        chosen = page.locator(".card[aria-selected=true]")
        place = str(N_PRESSES + 1)
        expect(chosen).to_have_attribute("aria-posinset", place, timeout=LOADED_MS)
        # Its place is known before it is.
        expect(chosen).to_have_attribute("data-feature", re.compile(r"^\d+$"))
        feature = chosen.get_attribute("data-feature")
        expect_feature(page, int(feature or -1))
        # The server hears of it when the reader has come to rest.
        expect_address(page, f"feature={feature}")
        page.keyboard.press("ArrowUp")
        expect(chosen).to_have_attribute("aria-posinset", str(N_PRESSES))
        after = {name: box(page.locator(name)) for name in before}
        assert after == before
        reader.assert_clean()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_search_for_a_sentence_or_a_word_moves_nothing(
    quiet_server: Server, browser: Browser, size: tuple[int, int]
) -> None:
    width, height = size
    with visit(browser, width=width, height=height) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/features?run=storybook")
        expect_list(page)
        expect_still(page)

        def below_the_box() -> list[float]:
            top = box(page.locator(".st-key-features_search"))[1]
            # On a phone the list comes after the panel, whose height is its passages'.
            places = (".panel",) if size == PHONE else (".panel", ".list")
            return [box(page.locator(place))[1] - top for place in places]

        before = below_the_box()
        search = page.get_by_role("textbox", name=text("features.search", "en"))
        shows = {
            "Lily saw a dog and a cat.": page.locator(".st-key-features_meant .tokens"),
            "dog": page.get_by_role(
                "radiogroup", name=text("features.search_as", "en")
            ),
        }
        for typed, shown in shows.items():
            search.fill(typed)
            search.press("Enter")
            expect(shown).to_be_visible(timeout=LOADED_MS)
            expect_still(page)
            assert below_the_box() == pytest.approx(before, abs=1)
        reader.assert_clean()


@pytest.mark.parametrize("act", ["off", "up", "why"])
def test_the_panel_leads_inside_with_its_feature(
    quiet_server: Server, browser: Browser, act: str
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{quiet_server.url}/features?run=storybook&feature=3")
        expect_feature(page, 3)
        expect_still(page)
        name = text(f"features.act_{act}", "en")
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_url("**/why?*", timeout=LOADED_MS)
        expect_address(page, "feature=3")
        expect_address(page, "run=storybook")


def test_hostile_tokens_and_names_are_drawn_as_text(
    server: Server, browser: Browser, run: Run
) -> None:
    with visit(browser) as reader:
        page = reader.page
        for feature in (1, 5):
            page.goto(f"{server.url}/features?run={run.id}&feature={feature}")
            expect_feature(page, feature)
            expect(page.locator(".panel .passage").first).to_be_visible()
            open_part(page, "contexts")
            strips = page.locator(".tokens")
            record = open_index(run.features_dir).feature(feature)
            n_shown = len(varied(record, N_FIRST))
            expect(strips).to_have_count(n_shown, timeout=LOADED_MS)
            expect_still(page)
            drawn = json.dumps(strips.all_inner_texts(), ensure_ascii=False)
            assert HOSTILE[0] in drawn or HOSTILE[1] in drawn
        assert page.locator("img[src=x]").count() == 0
        assert page.get_by_role("link", name="link", exact=True).count() == 0
        assert not reader.dialogs
        assert not reader.outside


def commonest_name() -> str:
    names = {*LEXICON["girl_name"], *LEXICON["boy_name"]}
    told = islice(stories(seed=0), 200)
    words = Counter(word for story in told for word in re.findall(r"\w+", story.text))
    return max(names, key=lambda name: words[name])


def test_a_name_is_searched_for_read_bookmarked_and_taken_along(
    server: Server, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    name = commonest_name()
    index = embedded_source().open()
    token = find_tokens(index.vocabulary, name)
    best = index.raised_by(token.token)[0].feature
    record = index.feature(best)
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/features?run=storybook")
        expect_list(page)
        expect_keys(page)
        page.keyboard.press("/")
        page.keyboard.type(name)
        with answered(page):
            page.keyboard.press("Enter")
        # It is a word that is there; that it is to come is a click away.
        page.get_by_role("radio", name=text("features.search_raises", "en")).click()
        said = text("features.search_raises_said", "en", token=as_word(token.text))
        expect(page.get_by_text(said[:50])).to_be_visible(timeout=LOADED_MS)
        expect_feature(page, best)
        expect_still(page)
        assert {"by=raises", f"q={name}"} <= set(address(page)[1:].split("&"))
        # Its passages, as they were read.
        open_part(page, "contexts")
        strips = page.locator(".tokens")
        expect(strips.first).to_be_visible(timeout=LOADED_MS)
        expect_still(page)
        passage = "".join(record.contexts[0].window(20).texts)
        assert strips.first.text_content() == passage
        with answered(page):
            page.get_by_role("button", name=text("features.act_keep", "en")).click()
        open_part(page, "kept")
        marked = text("features.bookmarked", "en")
        expect(page.get_by_role("button", name=marked)).to_be_visible()
        with page.expect_download() as saved:
            page.get_by_role(
                "button", name=text("features.save_html", "en", n=1)
            ).click()
        file = tmp_path / "feature.html"
        saved.value.save_as(file)
        reader.assert_clean()
    assert Notes(index.info.sae_fingerprint, index.info.d_sae).bookmarked() == [best]
    with visit(browser) as reader:
        reader.page.context.set_offline(True)
        reader.page.goto(file.as_uri())
        title = text("features.one", "en", feature=best)
        expect(
            reader.page.get_by_role("heading", name=title, exact=True)
        ).to_be_visible()
        assert passage in (reader.page.locator("main").text_content() or "")
        assert reader.page.locator("svg[role=img]").count() >= N_DRAWINGS
        assert [each for each in reader.outside if not each.startswith("file:")] == []
        assert not reader.errors


def test_a_saved_file_runs_nothing_and_fits_a_phone(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path / "home"))
    run = finished_run(write_model(tmp_path / "model"), name=HOSTILE[0])
    how = ExportOptions(
        HOSTILE[1],
        labels=[Label(HOSTILE[n % 5], "tokens") for n in range(40)],
        notes={n: Note(HOSTILE[n % 5]) for n in range(40)},
    )
    file = tmp_path / "features.html"
    write_export(file, open_index(run.features_dir), range(12), how)
    with visit(browser, width=390, height=844, theme="dark") as reader:
        page = reader.page
        page.goto(file.as_uri())
        expect(page.get_by_role("article")).to_have_count(12)
        assert page.locator("img, script, iframe, object").count() == 0
        widest = page.evaluate("() => document.documentElement.scrollWidth")
        assert widest <= 390
        # No figure is broken over lines.
        lines = page.locator(".figures th + td").evaluate_all(
            """cells => cells.map((cell) => {
              const range = document.createRange();
              range.selectNodeContents(cell);
              return range.getClientRects().length;
            })"""
        )
        assert set(lines) == {1}
        background = page.evaluate("() => getComputedStyle(document.body).background")
        assert "rgb(21, 25, 28)" in background
        assert not reader.dialogs
        assert not reader.errors


def test_a_feature_fits_a_phone(server: Server, browser: Browser, run: Run) -> None:
    with visit(browser, width=390, height=844, locale="ko-KR", theme="dark") as reader:
        page = reader.page
        page.goto(f"{server.url}/features?run={run.id}&feature=5")
        expect_feature(page, 5, "ko")
        expect_list(page)
        widest = page.evaluate(
            "() => document.querySelector('[data-testid=stMain]').scrollWidth"
        )
        assert widest <= 390
        assert not reader.outside
