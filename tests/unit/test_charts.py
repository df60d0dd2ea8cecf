"""Figures say what they were given, literally, and curves are thinned with care."""

import math

import pytest

from tinysae.palette import NEGATIVE, POSITIVE
from tinysae.ui.charts import MAX_POINTS, Series, bar_chart, histogram, thinned


def curve(n: int) -> Series:
    return Series("mse", list(range(n)), [math.sin(i / 50) for i in range(n)])


def test_a_short_curve_stays_as_it_is():
    short = curve(MAX_POINTS)
    assert thinned(short) is short


@pytest.mark.parametrize("n", [MAX_POINTS + 1, 5_000, 123_457])
def test_a_long_curve_keeps_its_ends_and_stays_in_order(n: int):
    thin = thinned(curve(n))
    assert MAX_POINTS // 2 < len(thin.x) <= MAX_POINTS
    assert (thin.x[0], thin.x[-1]) == (0, n - 1)
    assert list(thin.x) == sorted(set(thin.x))
    assert all(y == math.sin(x / 50) for x, y in zip(thin.x, thin.y, strict=True))


def test_a_spike_survives_thinning():
    long = curve(50_000)
    y = list(long.y)
    y[31_415], y[27_182] = 40.0, -40.0
    thin = thinned(Series("mse", long.x, y))
    assert max(thin.y) == 40.0
    assert min(thin.y) == -40.0


def test_values_that_are_not_finite_hide_no_spike():
    y = [math.nan, math.inf] * 2_000
    y[1_000] = 3.0
    thin = thinned(Series("mse", list(range(4_000)), y))
    assert 3.0 in thin.y


def test_bars_are_literal_and_two_of_one_label_stay_two():
    figure = bar_chart(["<b>Tom</b>", " dog", " dog"], [1.0, 0.5, -2.0])
    bars = figure.to_plotly_json()["data"][0]
    axis = figure.to_plotly_json()["layout"]["yaxis"]
    assert list(axis["ticktext"]) == ["&lt;b&gt;Tom&lt;/b&gt;", " dog", " dog"]
    assert list(bars["y"]) == [0, 1, 2]
    assert list(bars["marker"]["color"]) == [POSITIVE, POSITIVE, NEGATIVE]
    assert axis["autorange"] == "reversed"


def test_a_histogram_spans_its_edges():
    figure = histogram([0.0, 1.0, 3.0], [5, 2], log_y=True).to_plotly_json()
    bars = figure["data"][0]
    assert list(bars["x"]) == [0.5, 2.0]
    assert list(bars["width"]) == [1.0, 2.0]
    assert figure["layout"]["yaxis"]["type"] == "log"
