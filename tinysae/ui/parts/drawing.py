"""SVG in a page: `st.html` takes it out, and an image would not follow the theme."""

from importlib.resources import files

from streamlit.components.v2 import component


def drawing(svg: str, *, key: str) -> None:
    """Draw what `tinysae.render.svg` made, in the colour of the page's text.

    Args:
        svg: of `tinysae.render.svg` only, which escapes every text.
        key: of the component; one drawing a key.
    """
    _COMPONENT(key=key, data=svg)


_COMPONENT = component(
    "tinysae_drawing",
    js=(files("tinysae.ui.parts") / "drawing.js").read_text(encoding="utf-8"),
    css="svg { font-family: var(--st-font); color: var(--st-text-color); }",
)
