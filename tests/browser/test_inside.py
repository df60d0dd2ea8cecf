"""What is taken along from Inside, opened where there is no server."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Page, expect

from benchmarks.clicks import LOADED_MS
from tests.browser.conftest import Server, visit
from tests.browser.test_why import answer, open_picture, part
from tinysae.features.why.graph_json import STRIDE
from tinysae.words import text


def take(page: Page, name: str) -> Download:
    """What a press of the button called `name` saves."""
    with page.expect_download() as coming:
        page.get_by_role("button", name=name, exact=True).click()
    return coming.value


@pytest.fixture(scope="module")
def kept(
    quiet_server: Server, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with everything that the page gives away of its example."""
    folder = tmp_path_factory.mktemp("kept")
    with visit(browser) as reader:
        page = reader.page
        open_picture(page, quiet_server)
        for kind in ("SVG", "PNG"):
            take(page, kind).save_as(folder / f"inside.{kind.lower()}")
        page.get_by_role("button", name=re.compile(text("why.share", "en"))).click()
        saved = take(page, text("why.take_html", "en"))
        saved.save_as(folder / "inside.html")
        saved = take(page, text("why.take_json", "en"))
        saved.save_as(folder / "inside.json")
        reader.assert_clean()
    return folder


def test_the_saved_page_plays_and_is_taken_apart_offline(
    kept: Path, browser: Browser
) -> None:
    with visit(browser) as reader:
        page = reader.page
        page.context.set_offline(True)
        page.goto((kept / "inside.html").as_uri())
        play = page.get_by_role("button", name=text("why.machine_play", "en"))
        expect(play).to_be_visible(timeout=LOADED_MS)
        expect(answer(page)).to_have_text("95.1%")
        page.locator(".steps button").first.click()
        expect(page.locator("svg .answer0")).to_have_class(re.compile("later"))
        play.click()
        expect(page.locator("svg .answer0")).not_to_have_class(
            re.compile("later"), timeout=LOADED_MS
        )
        part(page, "h0.0").click()
        expect(answer(page)).to_have_text(re.compile(r"^0\.\d%$"))
        assert not reader.errors
        assert not reader.dialogs


def test_the_saved_picture_looks_as_the_page_does(kept: Path, browser: Browser) -> None:
    svg = (kept / "inside.svg").read_text(encoding="utf-8")
    assert "95.1%" in svg
    assert "var(" not in svg
    assert (kept / "inside.png").read_bytes().startswith(b"\x89PNG")
    with visit(browser) as reader:
        reader.page.goto((kept / "inside.svg").as_uri())
        lines = reader.page.locator("path")
        assert lines.count() > 5
        stroke = lines.first.evaluate("(line) => getComputedStyle(line).strokeWidth")
        assert float(stroke.removesuffix("px")) >= 1


def test_the_saved_graph_has_the_features_of_both_shipped_saes(kept: Path) -> None:
    graph = json.loads((kept / "inside.json").read_text(encoding="utf-8"))
    features = [n for n in graph["nodes"] if n["activation"] is not None]
    assert features
    assert all(node["clerp"] for node in features)
    assert "Replacement score" in graph["metadata"]["info"]["description"]
    numbers = {int(node["node_id"].split("_")[1]) for node in features}
    # Those of the second SAE of the layer stand apart.
    assert min(numbers) < STRIDE <= max(numbers)


def test_no_text_of_a_saved_page_is_ever_markup(kept: Path, browser: Browser) -> None:
    """A sentence that ends the data's element, and one that would run."""
    document = (kept / "inside.html").read_text(encoding="utf-8")
    before, _, rest = document.partition('id="drawn">')
    data, _, after = rest.partition("</script>")
    hostile = "</script><img src=x onerror=alert(1)><script>alert(2)</script>"
    drawn = json.loads(data) | {"sentence": hostile}
    inline = json.dumps(drawn)
    for inside in (inline.replace("<", "\\u003c"), inline):
        changed = kept / "changed.html"
        changed.write_text(f'{before}id="drawn">{inside}</script>{after}')
        with visit(browser) as reader:
            reader.page.goto(changed.as_uri())
            reader.page.wait_for_load_state()
            # Even where nobody escaped it, the policy lets nothing run.
            assert not reader.dialogs
            if inside != inline:
                expect(reader.page.locator(".says")).to_have_text(hostile)
                assert reader.page.locator("img").count() == 0
