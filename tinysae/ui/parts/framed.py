"""A whole HTML document with scripts of its own, in a frame that can reach nothing."""

import base64
import zlib
from importlib.resources import files

from streamlit.components.v2 import component

from tinysae.render.csp import FRAME_POLICY, policy_tag
from tinysae.render.visible import encodable

# The libraries shown here draw on a light ground only: the page's, seen through.
_HEAD = (
    '<!doctype html><meta charset="utf-8">'
    f"{policy_tag(FRAME_POLICY)}"
    "<style>:root{color-scheme:light}body{background:none;color:#111;margin:0;"
    "padding:.75rem;font-family:system-ui,sans-serif}</style>"
)
_TAIL = (
    "<script>new ResizeObserver(() => parent.postMessage("
    'document.body.offsetHeight, "*")).observe(document.body)</script>'
)


def framed(body: str, title: str, *, key: str) -> None:
    """Show `body`, trusted HTML in which data is escaped, under the name `title`."""
    document = encodable(_HEAD + body + _TAIL).encode()
    _COMPONENT(
        key=key,
        data={
            "title": title,
            "print": str(zlib.crc32(document)),
            "html": base64.b64encode(zlib.compress(document)).decode(),
        },
    )


_COMPONENT = component(
    "tinysae_framed",
    js=(files("tinysae.ui.parts") / "framed.js").read_text(encoding="utf-8"),
    # In the dark theme, white lies over it by difference: what is drawn on white is
    # drawn on black, and a change of theme needs no rerun. Its ground there is what
    # becomes the page's.
    css=(
        ".framed{position:relative;isolation:isolate;overflow:hidden;"
        "background:light-dark(var(--st-background-color),#EAE6E3)}"
        ".framed::after{content:'';position:absolute;inset:0;pointer-events:none;"
        "mix-blend-mode:difference;background:light-dark(#000,#FFF)}"
    ),
)
