"""Figures say what they were given, literally, and curves are thinned with care."""

import math

import numpy as np
import pytest

from tinysae.ui.parts.charts import MAX_POINTS, RAREST, Series, feature_points, thinned
from tinysae.ui.parts.scatter import Dot, readable


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


def test_a_map_has_every_feature_that_has_a_place_and_its_words_are_literal():
    layout = np.array([[0, 1], [np.nan, np.nan], [2, 3]], dtype=np.float32)
    points = feature_points(
        layout, np.array([0.5, 0.1, 0.0]), ["<b>a</b>", "b", "c"], [" the", "x", ""]
    )
    assert points.features == [0, 2]
    assert points.x == [0, 2]
    assert points.texts == [
        "Feature 0<br>&lt;b&gt;a&lt;/b&gt;<br> the",
        "Feature 2<br>c",
    ]
    assert points.rates == [-0.3, RAREST]


def test_a_name_without_room_on_one_side_stands_on_another():
    dots = [
        Dot("few", 8.0, 0.85, "k 8", ()),
        Dot("near", 20.0, 0.99, "Storybook output SAE", ()),
        Dot("best", 24.0, 0.998, "Storybook SAE", ()),
        Dot("many", 64.0, 0.93, "k 64", ()),
    ]
    # To its left stands another point, to its right there is room.
    places = readable(dots, "many")
    assert places["best"] == "middle right"
    assert (places["few"], places["many"]) == ("middle right", "middle left")
    # Where there is none on either side, above it.
    dots[3] = dots[3]._replace(y=0.995)
    assert readable(dots, "many")["best"] == "top center"


def test_names_never_lie_over_each_other_and_the_chosen_ones_is_there():
    twins = [Dot(name, 8.0, 0.9, "a name of some length", ()) for name in "abcd"]
    places = readable([*twins, Dot("many", 64.0, 0.8, "k 64", ())], "b")
    assert {"b", "many"} <= places.keys()
    sides = [side for name, side in places.items() if name != "many"]
    assert len(sides) == len(set(sides)) < len(twins)
