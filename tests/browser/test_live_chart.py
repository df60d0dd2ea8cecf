"""Live curves grow in place: one node, what is set kept, plotly.js sent once."""

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
FIND = f"document.querySelector('{CHART}')"
# By how many pixels the drawing reaches out below the chart's place.
OVERHANG = f"""
    document.querySelector("{CHART} .main-svg").getBoundingClientRect().bottom
    - document.querySelector(".tinysae-live").getBoundingClientRect().bottom
"""
# What the reader has set: where both axes are zoomed to, which curves are seen.
STATE = """
    ({
        x: it.layout.xaxis.autorange ? null : it.layout.xaxis.range,
        y: it.layout.yaxis.autorange ? null : it.layout.yaxis.range,
        curves: it._fullData.map((curve) => curve.visible),
    })
"""
UNTOUCHED = {"x": None, "y": None, "curves": [True, True]}
# Writes down every chart's state as soon as it is drawn for the first time.
NOTE_FIRST = f"""
    () => {{
        const seen = new Set([{FIND}]);
        const {{ react }} = window.Plotly;
        window.first = [];
        window.Plotly.react = (it, ...figure) => {{
            const drawn = react(it, ...figure);
            if (!seen.has(it)) window.first.push({STATE});
            seen.add(it);
            return drawn;
        }};
    }}
"""
# Keeps the scripts of the page's components, of which one is the chart's.
KEEP_SCRIPTS = """
    window.scripts = [];
    const create = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
        const address = create.call(URL, blob);
        if (blob.type === "text/javascript") window.scripts.push([blob, address]);
        return address;
    };
"""
# A call of the chart's script that is ended at once, as when a newer one is there.
BE_OVERTAKEN = """
    async () => {
        const box = document.querySelector(".tinysae-live");
        for (const [blob, address] of window.scripts) {
            if (!(await blob.text()).includes("tinysaePlotly")) continue;
            const script = await import(address);
            script.default({ parentElement: box.parentElement, data: box.latest })();
            return true;
        }
        return false;
    }
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
        opened.page.add_init_script(KEEP_SCRIPTS)
        opened.page.goto(chart_server.url)
        opened.page.wait_for_selector(f"{CHART} .main-svg")
        yield opened


def chart(page: Page, expression: str) -> Any:
    """The value of `expression`, where `it` is the chart that stands there then."""
    value = page.wait_for_function(
        f"() => {{ const it = {FIND}; return it?._fullData && [{expression}]; }}"
    )
    return value.json_value()[0]


def wait_for(page: Page, condition: str) -> None:
    """Wait until `condition` holds of `it`, the chart that stands there then."""
    page.wait_for_function(
        f"() => {{ const it = {FIND}; return it?._fullData && ({condition}); }}"
    )


def hold(page: Page) -> None:
    """Keep the node that the chart is in now."""
    page.evaluate(f"() => {{ window.node = {FIND} }}")


def is_held(page: Page) -> bool:
    return chart(page, "it === window.node")


def switch(page: Page, name: str) -> None:
    page.get_by_text(name, exact=True).click()


def wait_for_points(page: Page, more: int) -> None:
    """Wait until the curve is `more` points longer; it may not be sent all of them."""
    now = chart(page, "it.data[0].x.at(-1)")
    wait_for(page, f"it.data[0].x.at(-1) >= {now + more}")


def add_points(page: Page) -> None:
    now = chart(page, "it.data[0].x.at(-1)")
    page.get_by_role("button", name="more").click()
    wait_for(page, f"it.data[0].x.at(-1) > {now}")


def move(page: Page) -> None:
    """Have Streamlit mount the chart anew."""
    hold(page)
    switch(page, "moved")
    wait_for(page, "it !== window.node")


def zoom_in(page: Page) -> None:
    box = page.locator(f"{CHART} .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 120, steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()


def hide_last(page: Page) -> None:
    page.locator(f"{CHART} .legendtoggle").last.click()
    wait_for(page, "it._fullData[1].visible === 'legendonly'")


def set_all(page: Page) -> Any:
    """Zoom in and hide a curve; the state that this makes."""
    zoom_in(page)
    hide_last(page)
    state = chart(page, STATE)
    assert None not in (state["x"], state["y"])
    return state


def reset(page: Page) -> None:
    button = page.get_by_role("button", name="Reset zoom")
    button.click()
    expect(button).to_be_hidden()


def test_an_axis_begins_at_nothing_and_has_none_below(reader: Visit):
    page = reader.page
    add_points(page)
    ranges = chart(page, "[it._fullLayout.xaxis.range, it._fullLayout.yaxis.range]")
    assert ranges[0][0] == 0
    assert ranges[1][0] >= 0


def test_new_points_come_into_the_same_node_and_the_zoom_stays(reader: Visit):
    page = reader.page
    hold(page)
    zoom_in(page)
    before = chart(page, STATE)
    add_points(page)
    assert is_held(page)
    assert chart(page, STATE) == before
    reset(page)
    assert chart(page, STATE) == UNTOUCHED
    add_points(page)
    assert chart(page, STATE) == UNTOUCHED
    reader.assert_clean()


def test_a_hidden_curve_stays_hidden_until_it_is_shown(reader: Visit):
    page = reader.page
    hide_last(page)
    add_points(page)
    assert chart(page, STATE) == {**UNTOUCHED, "curves": [True, "legendonly"]}
    page.locator(f"{CHART} .legendtoggle").last.click()
    wait_for(page, "it._fullData[1].visible === true")
    add_points(page)
    assert chart(page, STATE) == UNTOUCHED


def test_what_grows_by_itself_keeps_what_the_reader_has_set(reader: Visit):
    page = reader.page
    before = set_all(page)
    switch(page, "live")
    # The switch's rerun of the page, which may meet one of the fragment, is over.
    wait_for_points(page, 50)
    hold(page)
    wait_for_points(page, 200)
    assert is_held(page)
    assert chart(page, STATE) == before
    reset(page)
    wait_for_points(page, 50)
    assert chart(page, STATE) == {**UNTOUCHED, "curves": [True, "legendonly"]}
    reader.assert_clean()


def test_a_chart_that_is_mounted_anew_is_drawn_as_it_was_from_the_first(reader: Visit):
    page = reader.page
    switch(page, "log")
    wait_for(page, "it.layout.yaxis.type === 'log'")
    before = set_all(page)
    page.evaluate(NOTE_FIRST)
    move(page)
    assert chart(page, STATE) == before
    assert page.evaluate("window.first") == [before]
    assert chart(page, "it.layout.yaxis.type") == "log"
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    # And goes on from there, also with what is taken back.
    add_points(page)
    assert chart(page, STATE) == before
    reset(page)
    move(page)
    assert chart(page, STATE) == {**UNTOUCHED, "curves": [True, "legendonly"]}
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()
    reader.assert_clean()


def test_a_zoom_is_taken_back_by_a_double_click(reader: Visit):
    page = reader.page
    zoom_in(page)
    page.locator(f"{CHART} .nsewdrag").dblclick()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()
    move(page)
    assert chart(page, STATE) == UNTOUCHED


def test_what_is_set_of_one_run_is_not_set_of_another(reader: Visit):
    page = reader.page
    before = set_all(page)
    hold(page)
    switch(page, "other")
    wait_for(page, "it._fullData[1].visible === true")
    assert is_held(page)
    assert chart(page, STATE) == UNTOUCHED
    expect(page.get_by_role("button", name="Reset zoom")).to_be_hidden()
    move(page)
    assert chart(page, STATE) == UNTOUCHED
    switch(page, "other")
    wait_for(page, "it._fullData[1].visible === 'legendonly'")
    assert chart(page, STATE) == before


def test_another_kind_of_axis_begins_afresh(reader: Visit):
    page = reader.page
    zoom_in(page)
    before = chart(page, STATE)
    for kind in ("log", "linear"):
        switch(page, "log")
        wait_for(page, f"it.layout.yaxis.type === '{kind}'")
        assert chart(page, STATE) == {**before, "y": None}


def test_a_call_that_is_overtaken_leaves_the_chart_to_the_newer_one(reader: Visit):
    page = reader.page
    hold(page)
    before = set_all(page)
    assert page.evaluate(BE_OVERTAKEN)
    add_points(page)
    assert is_held(page)
    assert chart(page, STATE) == before
    reset(page)
    reader.assert_clean()


def test_names_are_literal(reader: Visit):
    names = reader.page.locator(f"{CHART} .legendtext")
    expect(names.last).to_have_text("<b>L1</b>")


def test_a_logarithmic_axis_and_a_new_theme_keep_the_node(reader: Visit):
    page = reader.page
    hold(page)
    before = set_all(page)
    switch(page, "log")
    wait_for(page, "it.layout.yaxis.type === 'log'")
    light = chart(page, "it.layout.font.color")
    page.emulate_media(color_scheme="dark")
    wait_for(page, f"it.layout.font.color !== '{light}'")
    assert is_held(page)
    assert chart(page, STATE) == {**before, "y": None}
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
        switch(page, "live")
        # Beyond the number of points that a chart is ever sent.
        wait_for(page, "it.data[0].x.at(-1) >= 1500")
        assert chart(page, "it.data[0].x.length") <= 800
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
        # Tried again with the next points.
        page.get_by_role("button", name="more").click()
        page.wait_for_selector(f"{CHART} .main-svg")
        expect(problem).to_be_hidden()
        # Nor does what was said push the chart over what comes after it.
        page.wait_for_function(f"({OVERHANG}) <= 0")
