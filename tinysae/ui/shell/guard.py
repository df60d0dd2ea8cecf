"""What stands before every request: who may ask, and what an answer may do elsewhere.

Streamlit itself compares an Origin's host but not its port, lets a client without one
open the websocket, asks only there which name it was called by, and sends no frame
headers. `app.py` hands `middleware()` to
`st.App`, so that `streamlit run app.py` has them without a proxy.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tinysae.render.csp import APP_POLICY

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = (
    (b"content-security-policy", APP_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NAMES: Final = frozenset(name for name, _ in HEADERS)
FORBIDDEN: Final = 403
# For who serves it under a name of their own.
REFUSAL: Final = b"Forbidden: see server.allowedHosts and server.corsAllowedOrigins."
# What only reads may come without an Origin: a browser sends none with a plain visit.
_READS: Final = frozenset({"GET", "HEAD"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def middleware() -> list[Middleware]:
    """That of `st.App`, outermost first."""
    from starlette.middleware import Middleware

    from tinysae.ui.shell.first_paint import FirstPaint

    return [Middleware(Guard), Middleware(FirstPaint)]


class Guard:
    """Refuses requests of foreign pages and adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif is_allowed(scope):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # Before it is accepted, closing answers with status 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            start = {"type": "http.response.start", "status": FORBIDDEN, "headers": []}
            await _with_headers(send)(start)
            await send({"type": "http.response.body", "body": REFUSAL})


def is_allowed(scope: Scope) -> bool:
    """Whether a request comes from this app's own pages, or from no page at all.

    A page says where it is from (Origin, which no script can forge); it has to be the
    address that is asked, port and all, or one of `server.corsAllowedOrigins`. Without
    an Origin only what reads is answered, and never the websocket. A name that is not
    in `server.allowedHosts` may be any site's, made to mean this machine. Who is not on
    this machine cannot mean its loopback address.
    """
    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin")
    if not is_host_allowed(host):
        return False
    if _host_name(f"//{host}") in _LOOPBACK_NAMES and not _is_here(scope.get("client")):
        return False
    if origin is None:
        return scope["type"] == "http" and scope["method"] in _READS
    return _is_same(origin, host) or origin in _allowed_origins()


def _is_same(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _host_name(address: str) -> str:
    try:
        # "localhost." is the same name, written to its end.
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_here(client: Any) -> bool:
    """Whether who asks is on this machine; `client` is ASGI's (host, port)."""
    try:
        if client is None:
            return True
        address = ip_address(client[0])
        # Who listens to both kinds of addresses (`::`) hears "::ffff:127.0.0.1".
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        # A Unix socket has no address.
        return True


def _allowed_origins() -> list[str]:
    from streamlit import config

    return list(config.get_option("server.corsAllowedOrigins") or [])


def _with_headers(send: Send) -> Send:
    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message["headers"]
            kept = [pair for pair in given if pair[0].lower() not in _NAMES]
            message = {**message, "headers": [*kept, *HEADERS]}
        await send(message)

    return sends
