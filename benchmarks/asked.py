"""Whether a page's server owes it anything: read from what the two say to each other.

What stands on a page cannot tell. Between a click and the first word of the answer
nothing shows that there is one to come, and on a busy machine that takes a while.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from playwright.sync_api import Page, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

# Ten times what a page takes on two idle cores, for a machine on which much goes on.
LOADED_MS = 180_000
# Between two looks; and for how long all is drawn before it counts: Streamlit handles
# what it was sent a little later, and a component that hears of it once more.
LOOK_MS, QUIET_MS = 50, 100

# All is drawn, without a break since the first look for `[look, quiet]`, and as high as
# it was: what grows or shrinks moves the buttons below it.
_DRAWN = """([look, quiet]) => {
  const app = document.querySelector("[data-testid=stApp]");
  const height = document.querySelector("[data-testid=stMain]")?.scrollHeight;
  const isDrawn =
    app?.dataset.testScriptState === "notRunning" &&
    !document.querySelector(
      "[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]",
    );
  const now = performance.now();
  const isSame = window.drawn?.look === look && window.drawn.height === height;
  if (!isDrawn || !isSame) window.drawn = { look, height, since: now };
  return isDrawn && now - window.drawn.since >= quiet;
}"""


class Asked:
    """What one page asked its server for, and what came of it.

    Attributes:
        n: how often it asked for a run of its script or of a fragment.
        n_heard: messages either way.
    """

    def __init__(self) -> None:
        self.n = self.n_heard = 0
        self._begin()

    def _begin(self, _socket: WebSocket | None = None) -> None:
        self._is_owed = self._has_begun = False
        self._repeated: set[str] = set()

    def hear(self, socket: WebSocket) -> None:
        """Begin to listen; a page that is loaded anew has another socket."""
        self._begin()
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    @property
    def is_answered(self) -> bool:
        """All that it asked for has run to its end, and nothing asks by itself: a part
        of a page does that for as long as it waits for something."""
        return not self._is_owed and not self._repeated

    def _sent(self, message: bytes | str) -> None:
        self.n_heard += 1
        if isinstance(message, str):
            return
        if BackMsg.FromString(message).WhichOneof("type") == "rerun_script":
            self.n += 1
            self._is_owed, self._has_begun = True, False

    def _received(self, message: bytes | str) -> None:
        self.n_heard += 1
        if isinstance(message, str):
            return
        heard = ForwardMsg.FromString(message)
        match heard.WhichOneof("type"):
            case "new_session":
                self._has_begun = True
                if not heard.metadata.run.fragment_ids:
                    self._repeated.clear()
            case "auto_rerun":
                self._repeated.add(heard.auto_rerun.fragment_id)
            case "stop_auto_rerun":
                self._repeated.difference_update(heard.stop_auto_rerun.fragment_ids)
            case "script_finished":
                early = ForwardMsg.ScriptFinishedStatus.FINISHED_EARLY_FOR_RERUN
                if self._has_begun and heard.script_finished != early:
                    self._is_owed = False
            case _:
                pass


_PAGES: WeakKeyDictionary[Page, Asked] = WeakKeyDictionary()


def listen(page: Page) -> None:
    """Begin to listen; before the page's first address is opened."""
    _PAGES[page] = Asked()
    page.on("websocket", _PAGES[page].hear)


def expect_still(page: Page) -> None:
    """Nothing runs any more that could change the page, nothing is to come, and all of
    it is drawn: what it still moves about cannot be clicked.

    Raises:
        AssertionError: something goes on; a training's progress does, say.
    """
    asked = _PAGES[page]
    deadline = time.monotonic() + LOADED_MS / 1000
    while True:
        n_heard = asked.n_heard
        page.wait_for_function(
            _DRAWN, arg=[n_heard, QUIET_MS], timeout=LOADED_MS, polling=LOOK_MS
        )
        if asked.is_answered and asked.n_heard == n_heard:
            return
        assert time.monotonic() < deadline, "the page is never still"
        page.wait_for_timeout(LOOK_MS)


@contextmanager
def answered(page: Page) -> Iterator[None]:
    """What is done within makes the page ask its server, and all of the answer is
    there afterwards.

    Raises:
        AssertionError: it asks for nothing.
    """
    asked = _PAGES[page]
    n = asked.n
    yield
    deadline = time.monotonic() + LOADED_MS / 1000
    while asked.n == n:
        assert time.monotonic() < deadline, "the page did not ask its server"
        page.wait_for_timeout(LOOK_MS)
    expect_still(page)
