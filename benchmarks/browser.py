"""A server and a Chromium that writes down what a page must not do.

For benchmarks and browser tests. `$CHROMIUM` names the browser (`make test` finds or
installs one); without it, `scripts/find_chromium.py` looks for one that is there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright

from benchmarks.asked import LOADED_MS, listen

ROOT = Path(__file__).resolve().parents[1]
# Long enough for a machine on which much else goes on.
START_S = 180
STOP_S = 60

# On a deep link Streamlit's own page looks for its server below the page's path first.
PROBE = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")
FAILED_LOAD = "Failed to load resource"

Theme = Literal["light", "dark"]


@dataclass
class Server:
    """A running `streamlit run app.py`.

    Attributes:
        url: its address, without a slash at the end.
        home: its `TINYSAE_HOME`.
        process: the server itself; the runs it starts are not in its group.
        log: where it prints.
    """

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End the server and what is in its process group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(STOP_S)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(url: str) -> bool:
    """Whether Streamlit answers there."""
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def start_server(
    home: Path,
    log: Path,
    *,
    port: int | None = None,
    script: str = "app.py",
    root: Path = ROOT,
    environment: Mapping[str, str] = os.environ,
) -> Server:
    """Start a server on `home` and wait until it answers.

    Args:
        home: its `TINYSAE_HOME`; need not be there.
        log: what it prints is added to the end of this file.
        port: by default a free one.
        script: what to run, from `root`.
        root: the folder to start it in; by default this checkout.
        environment: what else it finds there; by default what the tests find.

    Raises:
        RuntimeError: it ended, or did not answer in time; with what it printed.
    """
    port = port or free_port()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "streamlit", "run", script),
                *("--server.port", str(port), "--server.headless", "true"),
            ],
            cwd=root,
            env={**environment, "TINYSAE_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(f"http://127.0.0.1:{port}", home, process, log)
    deadline = time.monotonic() + START_S
    while not is_healthy(server.url):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise RuntimeError(f"no server:\n{log.read_text(errors='replace')}")
        # Polling a port is the only way to learn that it is open.
        time.sleep(0.05)
    return server


def find_chromium() -> str:
    """The browser to test with."""
    given = os.environ.get("CHROMIUM")
    if given:
        path = shutil.which(given)
        assert path, f"$CHROMIUM is not a program: {given}"
        return path
    found = subprocess.run(
        [sys.executable, "scripts/find_chromium.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def chromium_options() -> dict[str, Any]:
    """Which Chromium to launch, and how."""
    # Chromium's sandbox does not start for root, which CI often is.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": find_chromium(), "args": arguments}


def launch_chromium(playwright: Playwright) -> Browser:
    """A new Chromium; close it."""
    return playwright.chromium.launch(**chromium_options())


@dataclass
class Visit:
    """A page of the app in a browser, and what it did that it should not.

    Attributes:
        page: Playwright's page.
        outside: addresses it asked other hosts for.
        errors: errors in its console, and exceptions nobody caught.
        failed: addresses that this host answered with an error.
        dialogs: texts of `alert` and its like: none is ours, so script got in.
    """

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def assert_clean(self) -> None:
        """Nothing outside, no error, no script that got in."""
        assert not self.outside
        assert not self.errors
        assert not self.failed
        assert not self.dialogs

    def watch(self) -> None:
        """Begin to write down; before the first address is opened."""
        listen(self.page)

        def ask(address: str) -> None:
            parts = urlsplit(address)
            if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
                self.outside.append(address)

        self.page.on("request", lambda request: ask(request.url))
        self.page.on("websocket", lambda websocket: ask(websocket.url))
        self.page.on(
            "console",
            lambda message: (
                self.errors.append(message.text)
                # What was answered with an error is in `failed`, by its address.
                if message.type == "error" and FAILED_LOAD not in message.text
                else None
            ),
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "response",
            lambda response: (
                self.failed.append(f"{response.status} {response.url}")
                if response.status >= 400 and not PROBE.search(response.url)
                else None
            ),
        )

        def dismiss(dialog) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        self.page.on("dialog", dismiss)


@contextmanager
def visit(
    browser: Browser,
    *,
    theme: Theme = "light",
    locale: str = "en-US",
    width: int = 1280,
    height: int = 900,
) -> Iterator[Visit]:
    """A browser with an empty profile, for one reader.

    Args:
        browser: the one to open it in.
        theme: what the reader's system prefers.
        locale: the reader's language; it also sets the browser's time and numbers.
        width: of the window, in pixels; a phone's is 390.
        height: of the window, in pixels.
    """
    context = browser.new_context(
        color_scheme=theme,
        locale=locale,
        viewport={"width": width, "height": height},
    )
    context.set_default_timeout(LOADED_MS)
    opened = Visit(context.new_page())
    opened.watch()
    try:
        yield opened
    finally:
        context.close()
