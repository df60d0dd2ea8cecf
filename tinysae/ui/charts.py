"""Charts in the app's colours: static Plotly figures, and curves that grow."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from tinysae.palette import CATEGORICAL, NEGATIVE, POSITIVE
from tinysae.ui.i18n import t

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from streamlit.components.v2.types import ComponentRenderer

# A curve is drawn on a few hundred pixels; more points cost every browser bandwidth at
# every tick and show nothing.
MAX_POINTS = 800

_HERE = Path(__file__).parent
_HTML = """
<div class="tinysae-live">
  <div role="img"></div>
  <button type="button" hidden></button>
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
def _live_component() -> ComponentRenderer:
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
    height: int = 280,
    log_y: bool = False,
    x_title: str = "",
) -> None:
    """Curves that take new points in place: zoom and hidden curves stay.

    Call it again with the same `key`, also from a fragment that reruns by itself; the
    chart's node in the page stays the same one. Drag to zoom, double-click to go back.

    Args:
        key: names the chart on its page.
        series: the curves; each is thinned to `MAX_POINTS`.
        height: in pixels.
        log_y: a logarithmic y axis; values of zero and less leave gaps.
        x_title: what the x axis counts.
    """
    curves = [thinned(one) for one in series]
    told = [c for c in curves if len(c.y) and c.style in ("solid", "dashed")]
    latest = ", ".join(f"{c.name} {_number(c.y[-1])}" for c in told)
    _live_component()(
        key=key,
        data={
            "address": _plotly_address(),
            "series": [
                {
                    "name": html.escape(c.name),
                    "x": [_number(value) for value in c.x],
                    "y": [_number(value) for value in c.y],
                    "colour": CATEGORICAL[c.colour % len(CATEGORICAL)],
                    "style": c.style,
                }
                for c in curves
            ],
            "height": height,
            "log_y": log_y,
            "x_title": html.escape(x_title),
            "description": t("common.chart_description", latest=latest),
            "reset": t("common.chart_reset"),
            "failed": t("common.chart_failed"),
        },
    )


def _figure(trace: Any, *, height: int, x_title: str, y_title: str) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure(trace)
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        bargap=0.25,
        xaxis={"title": html.escape(x_title), "automargin": True},
        yaxis={"title": html.escape(y_title), "automargin": True},
    )
    return figure


def bar_chart(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    x_title: str = "",
    height: int | None = None,
) -> Figure:
    """Horizontal bars, the first on top; teal above zero, orange below.

    Args:
        labels: `[n]`, shown literally; two bars may have the same.
        values: `[n]`.
        x_title: what the bars measure.
        height: in pixels; by default it grows with `n`.
    """
    import plotly.graph_objects as go

    places = list(range(len(values)))
    # Plotly reads a little HTML in texts, and would lay bars of one label on top of
    # each other were the labels the positions.
    texts = [html.escape(label) for label in labels]
    figure = _figure(
        go.Bar(
            x=list(values),
            y=places,
            orientation="h",
            marker_color=[POSITIVE if value >= 0 else NEGATIVE for value in values],
            customdata=texts,
            hovertemplate="%{customdata}: %{x:.4~g}<extra></extra>",
        ),
        height=height or 40 + 26 * max(len(values), 1) + (24 if x_title else 0),
        x_title=x_title,
        y_title="",
    )
    figure.update_yaxes(
        tickvals=places, ticktext=texts, autorange="reversed", showgrid=False
    )
    return figure


def histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    x_title: str = "",
    y_title: str = "",
    log_y: bool = False,
    height: int = 240,
) -> Figure:
    """Bars between neighbouring `edges`.

    Args:
        edges: `[n + 1]`, increasing.
        counts: `[n]`.
        x_title: what was measured.
        y_title: what was counted.
        log_y: a logarithmic count axis.
        height: in pixels.
    """
    import plotly.graph_objects as go

    spans = list(zip(edges, edges[1:], strict=False))
    figure = _figure(
        go.Bar(
            x=[(low + high) / 2 for low, high in spans],
            y=list(counts),
            width=[high - low for low, high in spans],
            marker_color=POSITIVE,
            customdata=[f"{low:.4g} – {high:.4g}" for low, high in spans],
            hovertemplate="%{customdata}: %{y:,}<extra></extra>",
        ),
        height=height,
        x_title=x_title,
        y_title=y_title,
    )
    figure.update_layout(bargap=0)
    figure.update_traces(marker_line_width=0)
    if log_y:
        figure.update_yaxes(type="log")
    return figure


def show(figure: Figure, *, key: str) -> None:
    """Draw a static figure in the page's theme, without Plotly's English buttons."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
