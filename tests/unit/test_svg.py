"""Charts as SVG: what they say, where their bars end, and that texts stay texts."""

import re
from xml.etree import ElementTree

import pytest

from tests.builders import HOSTILE
from tinysae.render import svg
from tinysae.render.palette import NEGATIVE, POSITIVE


def read(drawing: str) -> ElementTree.Element:
    """The drawing as XML, which is stricter than any browser."""
    return ElementTree.fromstring(drawing)


def share(rect: ElementTree.Element, name: str) -> float:
    return float(rect.attrib[name].rstrip("%"))


def test_bars_begin_at_one_zero_and_are_as_long_as_their_values() -> None:
    drawn = read(svg.bars(["a", "b", "c"], [2.0, 1.0, -2.0], title="logits"))
    up, half, down = drawn.iter("rect")
    assert share(up, "width") == pytest.approx(2 * share(half, "width"), abs=0.02)
    assert share(up, "width") == pytest.approx(share(down, "width"), abs=0.02)
    zero = share(up, "x")
    assert share(half, "x") == zero
    assert share(down, "x") + share(down, "width") == pytest.approx(zero, abs=0.02)
    assert [r.attrib["fill"] for r in (up, half, down)] == [
        POSITIVE,
        POSITIVE,
        NEGATIVE,
    ]
    assert drawn.attrib["aria-label"] == "logits"


@pytest.mark.parametrize("values", [[], [0.0], [-1.0, -2.0], [1e9, 1e-9]])
def test_bars_stay_inside_the_drawing(values: list[float]) -> None:
    drawn = read(svg.bars(["x"] * len(values), values, title=""))
    for rect in drawn.iter("rect"):
        assert share(rect, "x") >= 0
        assert share(rect, "x") + share(rect, "width") <= 100


def test_a_long_label_stands_whole_above_its_bar_in_lines() -> None:
    name = "Perhaps the mark that opens speech, or the mark that ends it, at once"
    drawn = read(svg.bars([name, "x"], [1.0, 1.0], title="", label_columns=30))
    texts = [text.text or "" for text in drawn.iter("text")]
    lines, rest = texts[: texts.index("1.00")], texts[texts.index("1.00") :]
    assert " ".join(lines) == name
    assert len(lines) == 3
    assert rest == ["1.00", "x", "1.00"]
    # No line stands on a bar, nor below the drawing.
    tops = [float(part.attrib["y"]) for part in drawn.findall("g/svg")]
    first, second = (float(rect.attrib["y"]) for rect in drawn.iter("rect"))
    assert max(tops[:3]) < first < tops[3] < second
    assert second + 14 <= float(drawn.attrib["height"])


def test_texts_are_literal() -> None:
    drawn = read(svg.bars(HOSTILE, [1.0] * len(HOSTILE), title=HOSTILE[0]))
    assert {element.tag for element in drawn.iter()} <= {
        *("svg", "g", "title", "text", "rect", "line"),
    }
    titles = [element.text or "" for element in drawn.iter("title")]
    assert titles == [f"{text}: 1.000" for text in HOSTILE]


def test_a_histogram_has_a_bar_for_every_count_that_is_not_zero() -> None:
    drawn = read(svg.histogram([0, 1, 2, 3], [99, 0, 9], title="counts"))
    high, low = drawn.iter("rect")
    # log(1 + 99) is twice log(1 + 9).
    heights = [float(rect.attrib["height"]) for rect in (high, low)]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)
    assert [title.text for title in drawn.iter("title")] == ["0 – 1: 99", "2 – 3: 9"]


def test_powers_of_ten_are_written_out() -> None:
    drawing = svg.histogram([-2, -1, 0], [1, 1], title="", exponents=True)
    assert re.findall(r"<title>(.*?)</title>", drawing) == [
        "1% – 10%: 1",
        "10% – 100%: 1",
    ]


@pytest.mark.parametrize("counts", [[], [0], [1], [10**9]])
def test_any_counts_can_be_drawn(counts: list[int]) -> None:
    read(svg.histogram(range(len(counts) + 1), counts, title=""))
