"""Content security policies: what a page, a file or a frame of ours may load and reach.

Each begins with nothing at all and names what it needs
(https://www.w3.org/TR/CSP3/).
"""

from collections.abc import Mapping
from typing import Final

NOWHERE: Final = "'none'"
INLINE: Final = "'unsafe-inline'"


def policy(sources: Mapping[str, str]) -> str:
    """The policy as a header or a document says it: nothing but these sources.

    Args:
        sources: directive ("style-src") -> sources ("'self' data:"), in their order.
    """
    allowed = {"default-src": NOWHERE, **sources}
    return "; ".join(f"{directive} {what}" for directive, what in allowed.items())


def policy_tag(text: str) -> str:
    """`text` as the document that it is for says it, first thing in its head."""
    return f'<meta http-equiv="Content-Security-Policy" content="{text}">'


# A file that somebody keeps or is sent: its own styles, no script, no address.
FILE_POLICY: Final = policy(
    {"style-src": INLINE, "base-uri": NOWHERE, "form-action": NOWHERE}
)
# A frame for a library's drawing: scripts and styles of the document itself.
FRAME_POLICY: Final = policy(
    {
        "script-src": f"{INLINE} 'unsafe-eval'",
        "style-src": INLINE,
        "img-src": "data:",
        "font-src": "data:",
        "base-uri": NOWHERE,
        "form-action": NOWHERE,
    }
)
# The app: Streamlit's own pages need inline scripts and styles and `eval`; what is left
# is that nothing is asked from, sent to or framed by any other address.
APP_POLICY: Final = policy(
    {
        "default-src": "'self'",
        "script-src": f"'self' {INLINE} 'unsafe-eval' blob: data:",
        "style-src": f"'self' {INLINE}",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "frame-src": "'self' data: blob:",
        "frame-ancestors": NOWHERE,
        "object-src": NOWHERE,
        "base-uri": "'self'",
        "form-action": "'self'",
    }
)
