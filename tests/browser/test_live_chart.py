"""Live curves grow in place: one node, the zoom kept, plotly.js sent once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ROOT, Server, Visit, start_server, visit
from tinysae.words import text

APP = Path(__file__).with_name("live_chart_app.py")
CHART = ".tinysae-live [role=img]"
# By how many pixels the drawing reaches out below the chart's place.
OVERHANG = f"""
    document.querySelector("{CHART} .main-svg").getBoundingClientRect().bottom
    - document.querySelector(".tinysae-live").getBoundingClientRect().bottom
"""


@pytest.fixture(scope="module")
def chart_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("chart")
    # Streamlit serves the font from beside the script.
    shutil.copytree(ROOT / "static", folder / "static")
    script = shutil.copy(APP, folder / "app.py")
    running = start_server(folder / "home", folder / "server.log", script=str(script))
    yield running
    running.stop()


@pytest.fixture
def reader(chart_server: Server, browser: Browser) -> Iterator[Visit]:
    with visit(browser) as opened:
        opened.page.goto(chart_server.url)
        opened.page.wait_for_selector(f"{CHART} .main-svg")
        opened.page.evaluate(
            f"() => {{ window.node = document.querySelector('{CHART}') }}"
        )
        yield opened


def chart(page: Page, expression: str) -> Any:
    return page.evaluate(f"() => window.node.{expression}")


def wait_for_points(page: Page, more: int) -> None:
    """Wait until the curve is `more` points longer; it may not be sent all of them."""
    now = chart(page, "data[0].x.at(-1)")
    page.wait_for_function(f"() => window.node.data[0].x.at(-1) >= {now + more}")


def zoom_in(page: Page) -> None:
    box = page.locator(f"{CHART} .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 120, steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()


def test_an_axis_begins_at_nothing_and_has_none_below(reader: Visit):
    page = reader.page
    # From so many points on a curve is one.
    page.wait_for_function("() => window.node.data[0].x.length > 25")
    ranges = [chart(page, f"_fullLayout.{axis}.range") for axis in ("xaxis", "yaxis")]
    assert ranges[0][0] == 0
    assert ranges[1][0] >= 0


def test_new_points_come_into_the_same_node_and_the_zoom_stays(reader: Visit):
    page = reader.page
    zoom_in(page)
    before = [chart(page, f"layout.{axis}.range") for axis in ("xaxis", "yaxis")]
    wait_for_points(page, 200)
    assert chart(page, "isConnected")
    after = [chart(page, f"layout.{axis}.range") for axis in ("xaxis", "yaxis")]
    assert after == before
    page.get_by_role("button", name="Reset zoom").click()
    page.wait_for_function("() => window.node.layout.xaxis.autorange")
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()
    reader.assert_clean()


def test_a_hidden_curve_stays_hidden(reader: Visit):
    page = reader.page
    page.locator(f"{CHART} .legendtoggle").last.click()
    page.wait_for_function("() => window.node._fullData[1].visible === 'legendonly'")
    wait_for_points(page, 100)
    assert chart(page, "_fullData[1].visible") == "legendonly"


def test_names_are_literal(reader: Visit):
    names = reader.page.locator(f"{CHART} .legendtext")
    expect(names.last).to_have_text("<b>L1</b>")


def test_a_logarithmic_axis_and_a_new_theme_keep_the_node(reader: Visit):
    page = reader.page
    page.get_by_text("log", exact=True).click()
    page.wait_for_function("() => window.node.layout.yaxis.type === 'log'")
    # Streamlit mounts a fragment anew when two reruns of it meet: the click's is over
    # when more points have come.
    wait_for_points(page, 20)
    light = chart(page, "layout.font.color")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => window.node.layout.font.color !== '{light}'")
    assert chart(page, "isConnected")
    reader.assert_clean()


def test_plotly_travels_once_and_messages_stay_small(
    chart_server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        fetched: list[str] = []
        sizes: list[int] = []
        page.on("request", lambda request: fetched.append(request.url))
        page.on(
            "websocket",
            lambda socket: socket.on("framereceived", lambda it: sizes.append(len(it))),
        )
        page.goto(f"{chart_server.url}/?more=100")
        page.wait_for_selector(f"{CHART} .main-svg")
        page.evaluate(f"() => {{ window.node = document.querySelector('{CHART}') }}")
        # Beyond the number of points that a chart is ever sent.
        page.wait_for_function("() => window.node.data[0].x.at(-1) >= 1500")
        assert chart(page, "data[0].x.length") <= 800
        assert len([url for url in fetched if "plotly.min.js" in url]) == 1
        assert max(sizes) < 60_000
        reader.assert_clean()


def test_a_chart_that_could_not_be_loaded_is_told_until_it_is_drawn(
    chart_server: Server, browser: Browser
):
    with visit(browser) as reader:
        page = reader.page
        page.route("**/plotly.min.js", lambda route: route.abort())
        page.goto(chart_server.url)
        problem = page.get_by_text(text("common.chart_failed", "en"))
        expect(problem).to_be_visible()
        page.unroute("**/plotly.min.js")
        page.wait_for_selector(f"{CHART} .main-svg")
        expect(problem).to_be_hidden()
        # Nor does what was said push the chart over what comes after it.
        page.wait_for_function(f"({OVERHANG}) <= 0")
