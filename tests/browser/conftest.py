"""One server and one Chromium for all the tests of a worker."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import psutil
import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from benchmarks.browser import ROOT as ROOT
from benchmarks.browser import STOP_S, Server, launch_chromium, start_server
from benchmarks.browser import Theme as Theme
from benchmarks.browser import Visit as Visit
from benchmarks.browser import visit as visit
from benchmarks.clicks import LOADED_MS
from tests.browser.kept_profile import KeptProfile

expect.set_options(timeout=LOADED_MS)


@pytest.fixture(scope="session")
def quiet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """This worker's server, for the tests that only look: nobody may start a run."""
    folder = tmp_path_factory.mktemp("server")
    running = start_server(folder / "home", folder / "server.log")
    yield running
    running.stop()


@pytest.fixture
def server(quiet_server: Server) -> Iterator[Server]:
    """The same server, whose libraries and model are warm; its home is yet to be made.

    What a test leaves there, work that goes on included, ends with it.
    """
    yield quiet_server
    end_work(quiet_server)
    shutil.rmtree(quiet_server.home, ignore_errors=True)


def end_work(server: Server) -> None:
    """Ends every `python -m tinysae` that works in the server's home."""
    working = [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if "tinysae" in (process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("TINYSAE_HOME") == str(server.home)
    ]
    for process in working:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + STOP_S
    while not all(map(has_ended, working)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_ended(process: psutil.Process) -> bool:
    """Also of one that its parent, the server, has yet to take notice of."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright, started once."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """One Chromium for all tests: to `visit`, a browser as any other."""
    kept = KeptProfile(playwright, tmp_path_factory.mktemp("profile"))
    yield cast("Browser", kept)
    kept.close()


@pytest.fixture(scope="module")
def new_browser(playwright: Playwright) -> Iterator[Browser]:
    """A Chromium that has the code of no page: for how pages come at first."""
    launched = launch_chromium(playwright)
    yield launched
    launched.close()
