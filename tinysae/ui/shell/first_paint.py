"""What a page wears before Streamlit has drawn anything: our styles, our font.

Streamlit sends one and the same document for every address and draws into it, bit by
bit. Styles that came with the page's own script would come after the first of it, and
everything would move once more. So they stand in the document itself.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CSS: Final = (files("tinysae.ui.shell") / "page.css").read_bytes()
# At the end of the body: of two rules that weigh the same the later one counts, and
# Streamlit adds its own to the head.
_STYLES: Final = b"<style>" + _CSS + b"</style>"
_END: Final = b"</body>"
# Instead of Streamlit's own font, which no page here wears.
_PRELOAD: Final = re.compile(rb'<link\s+rel="preload"[^>]*>')
_FONT: Final = (
    b'<link rel="preload" href="./app/static/fonts/figtree-latin.woff2" as="font"'
    b' type="font/woff2" crossorigin />'
)
# They are of Streamlit's file as it lies on the disk: a browser that compared them
# would keep the styles of yesterday.
_OF_THE_FILE: Final = frozenset({b"content-length", b"etag", b"last-modified"})
# Who asks for a document gets it whole, and not packed before it is dressed.
_SHORTENS: Final = frozenset(
    {b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"}
)


class FirstPaint:
    """Puts styles and font into every document of Streamlit's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _asks_for_document(scope):
            kept = [pair for pair in scope["headers"] if pair[0] not in _SHORTENS]
            scope, send = {**scope, "headers": kept}, _dressing(send)
        await self._app(scope, receive, send)


def dressed(document: bytes) -> bytes:
    """Streamlit's `document` with our styles and our font."""
    document = _PRELOAD.sub(lambda _: _FONT, document, count=1)
    return document.replace(_END, _STYLES + _END, 1)


def _dressing(send: Send) -> Send:
    """Passes on what is no document of Streamlit's, and holds one until it is whole."""
    held: list[Message] = []
    document = bytearray()

    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start" and _is_document(message):
            held.append(message)
        elif not held:
            await send(message)
        else:
            document.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            body = dressed(bytes(document))
            length = (b"content-length", str(len(body)).encode())
            given = held.pop()
            kept = [pair for pair in given["headers"] if pair[0] not in _OF_THE_FILE]
            await send({**given, "headers": [*kept, length]})
            await send({"type": "http.response.body", "body": body})

    return sends


def _asks_for_document(scope: Scope) -> bool:
    """As a browser does for what it opens in a tab."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"")


def _is_document(start: Message) -> bool:
    kind = dict(start["headers"]).get(b"content-type", b"")
    return start["status"] == 200 and kind.startswith(b"text/html")
