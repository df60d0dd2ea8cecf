"""The colours can be read, in both themes, and are the ones of the theme."""

import re
import tomllib
from pathlib import Path

import pytest

from tinysae.render.palette import (
    BACKGROUND,
    CATEGORICAL,
    DIVERGING,
    INK_DARK,
    INK_LIGHT,
    SEQUENTIAL,
    Scale,
    Theme,
    contrast,
    ink_on,
)

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"
THEMES: tuple[Theme, ...] = ("light", "dark")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scale", [SEQUENTIAL, DIVERGING])
def test_text_on_every_step_has_aa_contrast(scale: Scale, theme: Theme):
    for colour in scale.steps(theme):
        assert contrast(colour, ink_on(colour)) >= 4.5, colour


@pytest.mark.parametrize("theme", THEMES)
def test_curves_stand_out_from_the_background(theme: Theme):
    for colour in CATEGORICAL:
        assert contrast(colour, BACKGROUND[theme]) >= 3, colour


@pytest.mark.parametrize("theme", THEMES)
def test_the_sequential_scale_leaves_the_background_step_by_step(theme: Theme):
    distances = [contrast(c, BACKGROUND[theme]) for c in SEQUENTIAL.steps(theme)]
    assert distances == sorted(distances)
    assert distances[0] < 1.25


@pytest.mark.parametrize("theme", THEMES)
def test_widgets_have_the_palettes_colours(theme: Theme):
    settings = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"][theme]
    assert settings["backgroundColor"] == BACKGROUND[theme]
    assert tuple(settings["chartCategoricalColors"]) == CATEGORICAL
    assert contrast(settings["textColor"], settings["backgroundColor"]) >= 7
    assert contrast(settings["linkColor"], settings["backgroundColor"]) >= 4.5


def test_contrast_is_wcags():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    # The examples of WebAIM's checker: https://webaim.org/resources/contrastchecker/
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize(
    ("value", "low", "high", "step"),
    [
        (0, 0, 1, 0),
        (1, 0, 1, 8),
        (0.5, 0, 1, 4),
        (7, 0, 1, 8),
        (-7, 0, 1, 0),
        (float("nan"), 0, 1, 0),
        (float("inf"), 0, 1, 8),
        (3, 2, 2, 0),
    ],
)
def test_a_value_gets_its_step(value: float, low: float, high: float, step: int):
    assert SEQUENTIAL.step(value, low, high) == step


def test_themes_with_different_numbers_of_steps_are_refused():
    with pytest.raises(ValueError, match="same number"):
        Scale(light=("#000000",), dark=())


def test_colours_are_written_in_one_way():
    scales = (*SEQUENTIAL.light, *SEQUENTIAL.dark, *DIVERGING.light, *DIVERGING.dark)
    for colour in (*scales, *CATEGORICAL, INK_DARK, INK_LIGHT):
        assert re.fullmatch("#[0-9A-F]{6}", colour)
