"""A few points that can be clicked, and lines between them; x is logarithmic, y a
share."""

import html
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import streamlit as st

from tinysae.ui.parts.charts import colour, frame, live_component

Symbol = Literal["circle", "diamond", "square"]
# Of a dot, where its name stands, as Plotly calls it.
Side = Literal["middle right", "middle left", "top center"]
# Of the width that the points take: room at either side, at least this factor in all.
PAD, LEAST_SPAN = 0.12, 2.0
# Of a phone's chart: a letter's share of its width, a line's of its height; what has
# room there has room everywhere.
LETTER, LINE = 1 / 44, 1 / 16
# Where numbers stand on the axis: at these times the powers of ten, the coarsest of
# them that gives enough.
_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))
LEAST_TICKS = 3
# Between a point, or the ring around it, and its name.
_GAP = "\N{NO-BREAK SPACE}" * 3


class Dot(NamedTuple):
    """A point.

    id: what a click tells. x: above 0. y: a share. name: what stands beside it and
    texts: what is said of it, a line each (both untrusted). colour: as `charts.colour`
    counts. is_hollow: it stands for something else than the others do.
    """

    id: str
    x: float
    y: float
    name: str
    texts: Sequence[str]
    colour: int = 0
    symbol: Symbol = "circle"
    is_hollow: bool = False


class Line(NamedTuple):
    """A line through points, leftmost first; the main one is drawn whole."""

    points: Sequence[tuple[float, float]]
    colour: int = 0
    is_main: bool = False


def scatter(
    dots: Sequence[Dot],
    lines: Sequence[Line],
    *,
    key: str,
    of: str,
    alt: str,
    x_title: str,
    on_click: Callable[[str], None],
    chosen: str | None = None,
    height: int = 400,
) -> None:
    """Draws `dots` over `lines`.

    Args:
        dots: at least one.
        lines: behind them.
        key: names the chart on its page.
        of: what is drawn: another picture is not moved as this one.
        alt: what it shows, for who does not see it.
        x_title: what x counts.
        on_click: hears the id of a dot that was clicked.
        chosen: the id of the dot with a ring around it, if it is there.
        height: in pixels.
    """
    ids = [dot.id for dot in dots]

    def clicked() -> None:
        # A browser's message: only what is on the chart is taken.
        clicked = st.session_state[key].get("clicked")
        if clicked in ids:
            on_click(clicked)

    low, high = bounds([dot.x for dot in dots])
    live_component()(
        key=key,
        data={
            "scatter": {
                "points": _columns(dots, chosen),
                "lines": [_line(each) for each in lines],
                "chosen": chosen,
                "range": [math.log10(low), math.log10(high)],
                "ticks": ticks(low, high),
                "x_title": html.escape(x_title),
            },
            **frame(key, of, height=height, description=alt),
        },
        height=height,
        on_clicked_change=clicked,
    )


def bounds(x: Sequence[float]) -> tuple[float, float]:
    """From where to where the axis goes, the points within."""
    low, high = math.log10(min(x)), math.log10(max(x))
    span = max(high - low, math.log10(LEAST_SPAN))
    middle, half = (low + high) / 2, span * (0.5 + PAD)
    return 10 ** (middle - half), 10 ** (middle + half)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two that are above 0, some of them if there can be."""
    found: list[float] = []
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _STEPS:
        rounds = (
            float(f"{step * 10.0**power:.2g}") for power in powers for step in steps
        )
        found = [each for each in rounds if low <= each <= high]
        if len(found) >= LEAST_TICKS:
            break
    return [int(each) if each >= 1 and each == int(each) else each for each in found]


def _columns(dots: Sequence[Dot], chosen: str | None) -> dict[str, list[Any]]:
    places = readable(dots, chosen)
    return {
        "ids": [dot.id for dot in dots],
        "x": [dot.x for dot in dots],
        "y": [dot.y for dot in dots],
        "names": [
            f"{_GAP}{html.escape(dot.name)}{_GAP}" if dot.id in places else ""
            for dot in dots
        ],
        "places": [places.get(dot.id, "middle right") for dot in dots],
        "texts": ["<br>".join(map(html.escape, dot.texts)) for dot in dots],
        "colours": [colour(dot.colour) for dot in dots],
        "symbols": [f"{dot.symbol}{'-open' * dot.is_hollow}" for dot in dots],
    }


def readable(dots: Sequence[Dot], chosen: str | None) -> dict[str, Side]:
    """The ids of the dots whose names have room beside them, and on which side: the
    chosen one's first, then as they come; none over another name, or over another dot.
    """
    low, high = bounds([dot.x for dot in dots])
    span = math.log10(high / low)
    heights = [dot.y for dot in dots]
    tall = max(heights) - min(heights) or 1.0
    taken: list[tuple[float, float, float]] = []
    places: dict[str, Side] = {}
    at = {
        id(dot): (math.log10(dot.x / low) / span, (dot.y - min(heights)) / tall)
        for dot in dots
    }
    for dot in sorted(dots, key=lambda dot: dot.id != chosen):
        x, y = at[id(dot)]
        wide = (len(dot.name) + 2 * len(_GAP)) * LETTER
        over = [*taken, *((px, px, py) for px, py in at.values() if (px, py) != (x, y))]
        for side, (begin, end, height) in _sides(x, y, wide).items():
            if all(
                e < begin or b > end or abs(at - height) > LINE for b, e, at in over
            ):
                places[dot.id] = side
                taken.append((begin, end, height))
                break
    return places


def _sides(x: float, y: float, wide: float) -> dict[Side, tuple[float, float, float]]:
    """Where a name of that width may stand beside a dot: from where to where across
    and how far up, in shares of the picture. Towards its middle first, which is never
    cut off; elsewhere where it is not."""
    right, left = (x + LETTER, x + wide, y), (x - wide, x - LETTER, y)
    sides: dict[Side, tuple[float, float, float]] = {
        "middle right": right,
        "middle left": left,
    }
    if x > 0.5:
        sides = {"middle left": left, "middle right": right}
    sides["top center"] = (x - wide / 2, x + wide / 2, y + LINE)
    first = next(iter(sides))
    return {
        side: place
        for side, place in sides.items()
        if side == first or (place[0] >= 0 and place[1] <= 1)
    }


def _line(line: Line) -> dict[str, Any]:
    x, y = zip(*line.points, strict=True)
    return {"x": x, "y": y, "colour": colour(line.colour), "is_main": line.is_main}
