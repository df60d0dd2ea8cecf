"""Streamlit's document wears our styles before anything is drawn into it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import streamlit

from tinysae.ui.shell.first_paint import FirstPaint, dressed

STREAMLIT = Path(streamlit.__file__).parent / "static" / "index.html"
DOCUMENT = STREAMLIT.read_bytes()
HTML = (b"content-type", b"text/html; charset=utf-8")
ETAG = (b"etag", b'"of the file"')


def answer(
    *chunks: bytes,
    accept: bytes = b"text/html,*/*",
    kind: tuple[bytes, bytes] = HTML,
    status: int = 200,
) -> tuple[dict[bytes, bytes], dict[bytes, bytes], bytes]:
    """What the app was asked with, and the headers and the body that it answered."""
    asked: dict[bytes, bytes] = {}
    messages: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        asked.update(scope["headers"])
        length = (b"content-length", str(sum(map(len, chunks))).encode())
        headers = [kind, ETAG, length]
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        for place, chunk in enumerate(chunks, start=1):
            more = place < len(chunks)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def keep(message: Any) -> None:
        messages.append(message)

    async def nothing() -> Any:
        raise AssertionError("nobody listens")

    headers = [(b"accept", accept), (b"accept-encoding", b"gzip"), ETAG]
    headers.append((b"if-none-match", b'"of the file"'))
    scope = {"type": "http", "method": "GET", "headers": headers}
    # In a thread: this one may have a loop of Playwright's.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, FirstPaint(app)(scope, nothing, keep)).result()
    start, *body = messages
    return asked, dict(start["headers"]), b"".join(each["body"] for each in body)


def test_streamlits_document_ends_with_our_styles_and_begins_with_our_font() -> None:
    document = dressed(DOCUMENT)
    head, _, body = document.partition(b"</head>")
    assert b"figtree-latin.woff2" in head
    assert b"SourceSans" not in head
    # After whatever Streamlit adds to the head.
    assert body.index(b'id="root"') < body.index(b"stMainBlockContainer")
    assert body.rstrip().endswith(b"</style></body>\n</html>")


def test_a_document_is_asked_for_whole_and_has_its_own_length() -> None:
    asked, headers, body = answer(DOCUMENT[:100], DOCUMENT[100:])
    assert body == dressed(DOCUMENT)
    assert headers[b"content-length"] == str(len(body)).encode()
    # Yesterday's styles would be taken for today's.
    assert b"etag" not in headers
    assert not {b"accept-encoding", b"if-none-match"} & set(asked)


def test_what_is_no_document_stays_as_it_is() -> None:
    script = (b"content-type", b"text/javascript")
    for options in ({"kind": script}, {"status": 404}, {"accept": b"*/*"}):
        _, headers, body = answer(b"a</body>", b"b", **options)  # type: ignore[arg-type]
        assert body == b"a</body>b"
        assert b"etag" in headers
