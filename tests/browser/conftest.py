"""A fresh server and a Chromium for each test that wants one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from benchmarks.browser import ROOT as ROOT
from benchmarks.browser import Server, launch_chromium, start_server
from benchmarks.browser import Theme as Theme
from benchmarks.browser import Visit as Visit
from benchmarks.browser import visit as visit


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fresh server whose home folder is yet to be made."""
    running = start_server(tmp_path / "home", tmp_path / "server.log")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def quiet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests that only look: nobody may start a run on it."""
    folder = tmp_path_factory.mktemp("quiet")
    running = start_server(folder / "home", folder / "server.log")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright, started once."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium for all tests; each visit has its own profile in it."""
    launched = launch_chromium(playwright)
    yield launched
    launched.close()
