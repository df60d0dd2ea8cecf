"""The features page in Chromium: clicks, Back, a phone, and tokens that mean harm."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, visit
from tests.builders import HOSTILE, finished_run, write_model
from tinysae.runs.store import Run
from tinysae.words import text

LOADED_MS = 60_000
# Heights of the dataframe's header and rows, in pixels.
HEADER, ROW = 36, 35


@pytest.fixture
def run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TINYSAE_HOME", str(server.home))
    return finished_run(write_model(tmp_path / "model"), name=HOSTILE[0])


def expect_feature(page: Page, feature: int) -> None:
    title = text("features.one", "en", feature=feature)
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(
        timeout=LOADED_MS
    )


def expect_table(page: Page) -> None:
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2, timeout=LOADED_MS)


def address(page: Page) -> str:
    # `page.url` does not always know of addresses that the page itself sets.
    return page.evaluate("location.search")


def test_clicks_open_features_and_back_leads_out_again(
    server: Server, browser: Browser, run: Run
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.goto(f"{server.url}/features?run={run.id}")
        expect_table(page)
        table = page.get_by_test_id("stDataFrame").first
        # The table is a canvas: a place in it is all there is to click on.
        table.click(position={"x": 250, "y": HEADER + 4.5 * ROW})
        expect_feature(page, 4)
        assert address(page) == f"?run={run.id}&feature=4"
        page.get_by_role("button", name=text("features.next", "en")).click()
        expect_feature(page, 5)
        page.go_back()
        expect_feature(page, 4)
        page.go_back()
        expect_table(page)
        assert address(page) == f"?run={run.id}"
        page.go_forward()
        expect_feature(page, 4)
        page.reload()
        expect_feature(page, 4)
        assert not reader.outside


def test_hostile_tokens_and_names_are_drawn_as_text(
    server: Server, browser: Browser, run: Run
) -> None:
    with visit(browser) as reader:
        page = reader.page
        for feature in (1, 5):
            page.goto(f"{server.url}/features?run={run.id}&feature={feature}")
            expect_feature(page, feature)
            # Strips are drawn last, charts by then.
            strips = page.get_by_role("listbox")
            expect(strips).to_have_count(20, timeout=LOADED_MS)
            expect(page.locator(".js-plotly-plot")).to_have_count(2)
            drawn = json.dumps(strips.all_inner_texts(), ensure_ascii=False)
            assert HOSTILE[1] in drawn
        assert page.locator("img[src=x]").count() == 0
        assert page.get_by_role("link", name="link", exact=True).count() == 0
        assert not reader.dialogs
        assert not reader.outside


def test_a_feature_fits_a_phone(server: Server, browser: Browser, run: Run) -> None:
    with visit(browser, width=390, height=844, locale="ko-KR", theme="dark") as reader:
        page = reader.page
        page.goto(f"{server.url}/features?run={run.id}&feature=5")
        title = text("features.one", "ko", feature=5)
        expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=LOADED_MS)
        expect(page.get_by_role("listbox")).to_have_count(20, timeout=LOADED_MS)
        widest = page.evaluate(
            "() => document.querySelector('[data-testid=stMain]').scrollWidth"
        )
        assert widest <= 390
        assert not reader.outside
