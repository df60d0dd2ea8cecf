"""Tokens and bars in a line of text, as HTML for `st.html`; any text is escaped."""

import html
from collections.abc import Iterable

from tinysae.render.palette import SEQUENTIAL

# Mixed from the colour of the text, so that both themes keep its contrast.
_CHIP = (
    "display:inline-block;font-size:.9375rem;padding:0 .35em;"
    "margin:.1em .2em .1em 0;border-radius:.3em;"
    "white-space:pre-wrap;overflow-wrap:anywhere;"
    "background:color-mix(in srgb,currentColor 9%,transparent)"
)
_LABEL = "font-size:.875rem;margin-right:.6em;opacity:.8"
_BAR_COLOUR = f"light-dark({SEQUENTIAL.light[4]},{SEQUENTIAL.dark[4]})"


def chips(
    label: str, texts: Iterable[str], *, above: bool = False, small: bool = False
) -> str:
    """`label`, then each text on a ground of its own; the label in the same line, or
    in one of its own `above`."""
    display = "block" if above else "inline"
    style = f"{_CHIP};font-size:.8125rem" if small else _CHIP
    shown = "".join(f'<bdi style="{style}">{html.escape(text)}</bdi>' for text in texts)
    return (
        f'<div style="line-height:1.9"><span style="{_LABEL};display:{display}">'
        f"{html.escape(label)}</span>{shown}</div>"
    )


def bar(share: float, label: str) -> str:
    """A bar of `share` (0 to 1) of its line, with what it says at its end."""
    width = min(max(share, 0.0), 1.0)
    return (
        '<div style="display:flex;align-items:center;gap:.75em">'
        '<div aria-hidden="true" style="flex:1;min-width:3rem">'
        f'<div style="height:.5rem;width:{width:.1%};min-width:2px;'
        f'border-radius:.25rem;background:{_BAR_COLOUR}"></div></div>'
        '<div style="font-size:.875rem;font-variant-numeric:tabular-nums">'
        f"{html.escape(label)}</div></div>"
    )
