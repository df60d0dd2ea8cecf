"""The app's colours: one sequential scale, one diverging scale, one list for curves.

Every step of a scale carries `ink_on(step)` text at WCAG AA contrast (4.5:1), and every
colour of `CATEGORICAL` stands out from both backgrounds (3:1); `tests/unit` holds both.
The same colours stand in `.streamlit/config.toml` for Streamlit's own widgets.
"""

from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark"]

BACKGROUND: dict[Theme, str] = {"light": "#FCFBF8", "dark": "#15191C"}
INK_DARK = "#04100E"
INK_LIGHT = "#FFFFFF"

# Curves and bars: one list for both themes, so that a chart needs no rerun when the
# reader switches.
CATEGORICAL = ("#14897F", "#D2691E", "#6A6FD0", "#C0508C", "#A88400", "#7C8591")
POSITIVE = CATEGORICAL[0]
NEGATIVE = CATEGORICAL[1]
GREY = CATEGORICAL[5]


@dataclass(frozen=True)
class Scale:
    """A ramp of equally spaced colours for each theme, lowest value first.

    The lowest step of a sequential scale, and the middle one of a diverging scale,
    almost vanish into the page: what is not there is not drawn.
    """

    light: tuple[str, ...]
    dark: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse ramps whose steps do not pair up between the themes."""
        if len(self.light) != len(self.dark):
            raise ValueError("both themes need the same number of steps")

    def __len__(self) -> int:
        return len(self.light)

    def steps(self, theme: Theme) -> tuple[str, ...]:
        """The colours in one theme."""
        return self.light if theme == "light" else self.dark

    def step(self, value: float, low: float, high: float) -> int:
        """The index of the colour for `value`; outside `[low, high]` it is clamped.

        A value that is not a number, or a range without width, gets the lowest step
        of the scale.
        """
        if not high > low or value != value:
            return 0
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(share * (len(self) - 1))


# Activations and log-probabilities.
SEQUENTIAL = Scale(
    light=(
        "#F3F1EA",
        "#D9E9E0",
        "#BFE0D6",
        "#A3D8CD",
        "#86CFC3",
        "#6BB6AB",
        "#509D93",
        "#2E8077",
        "#0D6E66",
    ),
    dark=(
        "#22282C",
        "#243839",
        "#254847",
        "#235955",
        "#1C6A64",
        "#37887F",
        "#51A79C",
        "#6BC7B9",
        "#86E8D7",
    ),
)

# Logits and anything else with a sign: orange below zero, teal above.
DIVERGING = Scale(
    light=(
        "#B0440E",
        "#D27D53",
        "#F2B48C",
        "#F4D3BB",
        "#F3F1EA",
        "#BFE0D6",
        "#86CFC3",
        "#509D93",
        "#0D6E66",
    ),
    dark=(
        "#FFAD75",
        "#C37848",
        "#8A471C",
        "#55392A",
        "#22282C",
        "#254847",
        "#1C6A64",
        "#51A79C",
        "#86E8D7",
    ),
)


def step_rules(scale: Scale) -> str:
    """CSS: a class for each step, `.s0` the lowest, as the theme has it."""
    return "".join(
        f".s{step}{{background:light-dark({light},{dark});"
        f"color:light-dark({ink_on(light)},{ink_on(dark)})}}"
        for step, (light, dark) in enumerate(zip(scale.light, scale.dark, strict=True))
    )


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))

    def linear(channel: float) -> float:
        if channel <= 0.04045:
            return channel / 12.92
        return ((channel + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """The more legible of the two text colours on `colour`."""
    return max((INK_DARK, INK_LIGHT), key=lambda ink: contrast(ink, colour))
