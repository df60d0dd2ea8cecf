"""Presenter's mode: large type, no controls, the arrow keys."""

from collections.abc import Callable
from importlib.resources import files

import streamlit as st
from streamlit.components.v2 import component

PARAMETER = "present"

# Containers' keys of charts, whose letters are pixels of their own, begin with it.
CHART = "lessons_chart"

_CSS = f"""
<style>
  [data-testid="stSidebar"], [data-testid="stExpandSidebarButton"],
  [data-testid="stHeader"] {{ display: none; }}
  html {{ font-size: 22px; }}
  [class*="st-key-{CHART}"] {{ zoom: 1.7; }}
  [data-testid="stMainBlockContainer"] {{ max-width: 80rem; padding-top: 1.5rem; }}
  @media (max-width: 640px) {{
    html {{ font-size: 18px; }}
    [class*="st-key-{CHART}"] {{ zoom: 1.4; }}
  }}
</style>
"""


def is_presenting() -> bool:
    """Whether the address asks for it."""
    return st.query_params.get(PARAMETER) == "1"


def present(move: Callable[[int], None]) -> None:
    """Makes the page a presenter's; `move` hears -1 or 1 at an arrow key."""
    st.html(_CSS)
    key = "lessons.keys"

    def pressed() -> None:
        step = st.session_state[key].get("step")
        # A browser can send anything.
        if step in (-1, 1):
            move(step)

    _COMPONENT(key=key, on_step_change=pressed)


_COMPONENT = component(
    "tinysae_arrow_keys",
    js=(files("tinysae.ui.lessons") / "arrow_keys.js").read_text(encoding="utf-8"),
)
