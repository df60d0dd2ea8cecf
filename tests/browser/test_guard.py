"""Pages of other ports can neither frame the app nor talk to it."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.clicks import LOADED_MS
from tests.browser.conftest import Server, visit
from tinysae.words import text

STREAM = "/_stcore/stream"


@contextmanager
def neighbour(html: str) -> Iterator[str]:
    """The address of a page that another program of this machine serves."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


def handshake(server: Server, **headers: str) -> int:
    """The status of a websocket's first answer; 101 is a yes."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request(
        "GET",
        STREAM,
        headers={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **headers,
        },
    )
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_the_apps_own_address_opens_the_websocket(quiet_server: Server):
    assert handshake(quiet_server, Origin=quiet_server.url) == 101
    assert handshake(quiet_server) == 403
    assert handshake(quiet_server, Origin="http://127.0.0.1:1") == 403
    assert handshake(quiet_server, Origin="http://evil.example") == 403


def test_no_page_answers_to_a_name_that_is_not_this_machines(quiet_server: Server):
    address = urlsplit(quiet_server.url)
    for host, status in ((address.netloc, 200), (f"evil.example:{address.port}", 403)):
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        connection.request("GET", "/", headers={"Host": host})
        assert connection.getresponse().status == status
        connection.close()


@pytest.mark.parametrize("path", ["/", "/train", "/static/none.js", "/_stcore/health"])
def test_every_answer_has_the_headers(quiet_server: Server, path: str):
    address = urlsplit(quiet_server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    connection.close()


def test_no_other_page_can_frame_the_app(quiet_server: Server, browser: Browser):
    frame = f'<iframe id="app" src="{quiet_server.url}/train"></iframe>'
    with neighbour(frame) as address, visit(browser) as reader:
        with reader.page.expect_console_message(
            lambda message: "frame-ancestors" in message.text
        ):
            reader.page.goto(address)
        reader.page.frames[1].wait_for_url(re.compile("^chrome-error:"))


def test_the_app_itself_asks_no_other_host(quiet_server: Server, browser: Browser):
    with visit(browser) as reader:
        reader.page.goto(quiet_server.url)
        title = reader.page.get_by_role("heading", level=1)
        expect(title).to_have_text(text("home.title", "en"), timeout=LOADED_MS)
        # A script that got in could tell nobody.
        with reader.page.expect_console_message(
            lambda message: "Content Security Policy" in message.text
        ):
            told = reader.page.evaluate(
                "fetch('http://127.0.0.1:1/').then(() => 'told', error => `${error}`)"
            )
        assert "Failed to fetch" in told
