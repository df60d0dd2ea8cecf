"""A reader of a page whose websocket is written down, frame by frame."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.browser import visit
from benchmarks.clicks import LOADED_MS

# Streamlit's heartbeat and late answers aside, a page that is done is silent for this.
SETTLED_S = 1.0
STRIP = "tinysae_tokens"
TITLE_CLOCK = """
const look = () => {
  const title = document.querySelector("h1");
  if (title?.textContent.trim() && title.checkVisibility()) {
    window.titleMs = performance.now();
  } else {
    requestAnimationFrame(look);
  }
};
requestAnimationFrame(look);
"""


@dataclass(frozen=True)
class Frame:
    """A frame of the page's websocket; `at` in the browser's seconds."""

    at: float
    sent: bool
    payload: bytes

    @property
    def message(self) -> ForwardMsg:
        """What the server said; only of frames that were received."""
        return ForwardMsg.FromString(self.payload)

    @property
    def is_finish(self) -> bool:
        return not self.sent and self.message.WhichOneof("type") == "script_finished"

    @property
    def is_strip(self) -> bool:
        if self.sent:
            return False
        component = self.message.delta.new_element.bidi_component
        return STRIP in component.component_name


@dataclass
class Reader:
    """A page in an empty profile, its frames, and what it asked other hosts for."""

    page: Page
    outside: list[str]
    frames: list[Frame] = field(default_factory=list)

    def record(self) -> None:
        """Begin to keep frames; before the first address is opened."""
        session = self.page.context.new_cdp_session(self.page)

        def keep(event: dict[str, Any], sent: bool) -> None:
            payload = base64.b64decode(event["response"]["payloadData"])
            self.frames.append(Frame(event["timestamp"], sent, payload))

        session.on("Network.webSocketFrameSent", lambda event: keep(event, True))
        session.on("Network.webSocketFrameReceived", lambda event: keep(event, False))
        session.send("Network.enable")

    def settle(self) -> None:
        """Wait until no frame has come for a while, at most a minute."""
        deadline = time.monotonic() + LOADED_MS / 1000
        n_before = -1
        while len(self.frames) != n_before and time.monotonic() < deadline:
            n_before = len(self.frames)
            self.page.wait_for_timeout(SETTLED_S * 1000)


@contextmanager
def reader_of(browser: Browser) -> Iterator[Reader]:
    with visit(browser) as opened:
        reader = Reader(opened.page, opened.outside)
        opened.page.add_init_script(TITLE_CLOCK)
        reader.record()
        yield reader


def finished_ms(reader: Reader, n_before: int) -> float:
    """From the first frame sent after `n_before` to the script's end."""
    deadline = time.monotonic() + LOADED_MS / 1000
    while time.monotonic() < deadline:
        new = reader.frames[n_before:]
        sent = next((frame for frame in new if frame.sent), None)
        if sent is not None:
            for frame in new:
                if frame.at >= sent.at and frame.is_finish:
                    return (frame.at - sent.at) * 1000
        reader.page.wait_for_timeout(10)
    raise RuntimeError("a rerun did not end")
