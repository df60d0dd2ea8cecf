"""Charts that move, in the app's colours: curves that grow and a map of features;
`ui.parts.scatter` has points of another kind.

What stands still is SVG (`tinysae.render.svg`, `ui.parts.drawing`).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from tinysae.render.palette import CATEGORICAL, GREY, NEGATIVE, POSITIVE
from tinysae.ui.shell.i18n import t

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from streamlit.components.v2.types import ComponentRenderer

# A curve is drawn on a few hundred pixels; more points cost every browser bandwidth at
# every tick and show nothing.
MAX_POINTS = 800

_HERE = Path(__file__).parent
_HTML = """
<div class="tinysae-live">
  <div></div>
  <button type="button" hidden></button>
  <p role="alert" hidden></p>
</div>
"""
_CSS = """
.tinysae-live { position: relative; }
.tinysae-live button {
  position: absolute; top: 0; right: 0; padding: 0.15rem 0.6rem; font: inherit;
  font-size: 0.85rem; color: var(--st-text-color); cursor: pointer;
  background: var(--st-secondary-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
}
.tinysae-live p { position: absolute; inset: 0 0 auto; margin: 0; }
.tinysae-live button:focus-visible { outline: 2px solid var(--st-primary-color); }
"""


Style = Literal["solid", "faint", "dashed", "bars"]


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: its name in the legend.
        x: `[n]`, increasing.
        y: `[n]`; a value that is not finite leaves a gap.
        colour: index into the palette's curve colours.
        style: "faint" for what lies behind a smoothed curve, "dashed" for what is only
            compared with, "bars" for counts.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    style: Style = "solid"


def colour(at: int) -> str:
    """The colour of the curves with `colour=at`, as CSS says it."""
    return CATEGORICAL[at % len(CATEGORICAL)]


def thinned(series: Series, most: int = MAX_POINTS) -> Series:
    """`series` with at most `most` points, its spikes kept.

    Of every stretch of neighbours the lowest and the highest point stay, in their
    order, and the first and the last point of all.
    """
    import numpy as np

    n = len(series.x)
    if n <= most:
        return series
    y = np.asarray(series.y, dtype=np.float64)
    # What is not finite is no extreme, unless a stretch has nothing else.
    low, high = (
        np.where(np.isfinite(y), y, np.inf),
        np.where(np.isfinite(y), y, -np.inf),
    )
    edges = np.linspace(1, n - 1, (most - 2) // 2 + 1).astype(int)
    kept = {0, n - 1}
    for start, stop in zip(edges, edges[1:], strict=False):
        kept.add(int(start + low[start:stop].argmin()))
        kept.add(int(start + high[start:stop].argmax()))
    order = sorted(kept)
    return replace(
        series, x=[series.x[i] for i in order], y=[series.y[i] for i in order]
    )


def _number(value: float) -> float | None:
    """Five digits, which is more than a screen shows; nothing for what JSON lacks."""
    value = float(value)
    return float(f"{value:.5g}") if abs(value) < float("inf") else None


def _plotly_address() -> str:
    """Where the browser finds the installed plotly's own plotly.js.

    Streamlit serves any folder that is declared as a component's; the file is then
    fetched once and kept by the browser, instead of 4.8 MB in every message.
    """
    import plotly
    import streamlit.components.v1 as components

    folder = Path(plotly.__file__).parent / "package_data"
    return (
        f"component/{components.declare_component('plotly', folder).name}/plotly.min.js"
    )


@cache
def live_component() -> ComponentRenderer:
    from streamlit.components.v2 import component

    return component(
        "tinysae_live_chart",
        html=_HTML,
        css=_CSS,
        js=(_HERE / "live_chart.js").read_text(encoding="utf-8"),
        # Plotly puts its styles into the document, which a shadow root would not see.
        isolate_styles=False,
    )


def live_chart(
    key: str,
    series: Sequence[Series],
    *,
    of: str = "",
    height: int = 280,
    log_y: bool = False,
    x_title: str = "",
    title: str = "",
    legend: bool = True,
) -> None:
    """Curves that take new points in place: zoom and hidden curves stay.

    Call it again with the same `key`, also from a fragment that reruns by itself; the
    chart's node in the page stays the same one. Where Streamlit mounts it anew, what
    the reader has set is there again. Drag to zoom, double-click to go back.

    Args:
        key: names the chart on its page.
        of: what is drawn (a run, say): another one's chart is not zoomed as this one's.
        series: the curves; each is thinned to `MAX_POINTS`.
        height: in pixels.
        log_y: a logarithmic y axis; values of zero and less leave gaps.
        x_title: what the x axis counts.
        title: what the curves are of, for who does not see them.
        legend: whether several curves are named in the chart.
    """
    curves = [thinned(one) for one in series]
    told = [c for c in curves if len(c.y) and c.style in ("solid", "dashed")]
    latest = ", ".join(f"{c.name or title} {_number(c.y[-1])}" for c in told)
    live_component()(
        key=key,
        data={
            "series": [
                {
                    "name": html.escape(c.name),
                    "x": [_number(value) for value in c.x],
                    "y": [_number(value) for value in c.y],
                    "colour": colour(c.colour),
                    "style": c.style,
                }
                for c in curves
            ],
            "log_y": log_y,
            "x_title": html.escape(x_title),
            "legend": legend,
            **frame(
                key,
                of,
                height=height,
                description=t("common.chart_description", title=title, latest=latest),
            ),
        },
        # Its place is there before the script that draws it.
        height=height,
    )


def frame(key: str, of: str, *, height: int, description: str) -> dict[str, Any]:
    """What every chart is told."""
    return {
        # By this the browser knows what a reader has set, also in a node mounted anew.
        "of": f"{key} {of}",
        "address": _plotly_address(),
        "height": height,
        "description": description,
        "reset": t("common.chart_reset"),
        "failed": t("common.chart_failed"),
    }


@dataclass(frozen=True)
class FeaturePoints:
    """Features on a map; a feature without a place is not among them.

    Attributes:
        features: `[n]`, their numbers.
        x, y: `[n]`, where decoder directions lie among each other.
        texts: `[n]`, what is said of each; HTML.
        rates: `[n]`, log10 of the share of tokens that each fires on.
        of: `[n]`, the place of each one's theme among `themes`; -1 for none.
        themes: what they are called; HTML.
    """

    features: list[int]
    x: list[float]
    y: list[float]
    texts: list[str]
    rates: list[float]
    of: list[int]
    themes: list[str]


# log10 of a firing rate: what fires less is drawn as if it fired as much.
RAREST = -4


def feature_points(
    layout: NDArray[np.float32],
    density: NDArray[np.float64],
    labels: Sequence[str],
    tokens: Sequence[str],
    theme_of: Sequence[int] = (),
    themes: Sequence[str] = (),
) -> FeaturePoints:
    """The features that have a place.

    Args:
        layout: `[d_sae, 2]`; a place that is not finite is none.
        density: `[d_sae]`, the shares of tokens they fire on.
        labels: `[d_sae]` sentences, or none; shown literally.
        tokens: `[d_sae]`, each one's top token; shown literally.
        theme_of: `[d_sae]` places of their themes, -1 for none; or none at all.
        themes: what those are called; shown literally.
    """
    import numpy as np

    placed = np.flatnonzero(np.isfinite(layout).all(axis=1))
    features = placed.tolist()
    of = theme_of or [-1] * len(layout)
    lines = [
        (
            t("features.one", feature=feature),
            labels[feature] if labels else "",
            tokens[feature],
            themes[at] if (at := of[feature]) >= 0 else "",
        )
        for feature in features
    ]
    rates = np.log10(np.maximum(density[placed], 10.0**RAREST))
    return FeaturePoints(
        features,
        layout[placed, 0].astype(float).round(3).tolist(),
        layout[placed, 1].astype(float).round(3).tolist(),
        ["<br>".join(map(html.escape, filter(None, each))) for each in lines],
        rates.round(2).tolist(),
        [of[feature] for feature in features],
        [html.escape(name) for name in themes],
    )


def feature_map(
    points: FeaturePoints,
    *,
    key: str,
    of: str,
    alt: str,
    on_click: Callable[[int], None],
    chosen: int | None = None,
    theme: int | None = None,
    height: int = 300,
) -> None:
    """Points in which rare features are grey and dense ones red; drag to move about.

    Where many of a theme lie together stands its name; close by, each one's own.

    Args:
        points: what is on it.
        key: names the map on its page.
        of: whose features these are: another's map is not moved as this one's.
        alt: what it shows, for who does not see it.
        on_click: hears the feature that was clicked.
        chosen: the feature with a ring around it, if it has a place.
        theme: the place of the theme that stands out from the others.
        height: in pixels.
    """

    def clicked() -> None:
        # A browser's message: only a feature that is on the map is taken.
        feature = st.session_state[key].get("clicked")
        if type(feature) is int and feature in points.features:
            on_click(feature)

    live_component()(
        key=key,
        data={
            "points": {
                **asdict(points),
                "colours": [GREY, POSITIVE, NEGATIVE],
                "rarest": RAREST,
                "chosen": chosen,
                "chosenTheme": theme,
            },
            **frame(key, of, height=height, description=alt),
        },
        height=height,
        on_clicked_change=clicked,
    )
