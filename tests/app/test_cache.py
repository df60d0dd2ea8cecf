"""The warm-up: a page that needs the model waits for it and says so."""

import gc
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import PATIENCE_S
from tinysae.errors import MissingError
from tinysae.model import libraries, sources
from tinysae.ui.shell import cache
from tinysae.words import text


@pytest.fixture(autouse=True)
def fresh_caches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No warm-up of another test, and none of this one's left behind."""
    monkeypatch.setattr(cache, "_HEAD_START_S", 0)
    caches = (cache._warm_up_thread, cache._load)
    for one in caches:
        one.clear()
    yield
    for one in caches:
        one.clear()


def asking_page() -> None:
    import streamlit as st

    from tinysae.ui.shell import cache
    from tinysae.ui.shell.page import shown_errors

    with shown_errors():
        st.write(f"model {cache.loaded_model('storybook').d_model}")


def test_a_page_waits_for_the_warm_up_and_says_so(monkeypatch: pytest.MonkeyPatch):
    may_import = threading.Event()
    said: list[str] = []
    monkeypatch.setattr(libraries, "import_libraries", may_import.wait)
    monkeypatch.setattr(
        sources,
        "load_model",
        lambda _source: SimpleNamespace(d_model=32, find_hooks=list),
    )
    monkeypatch.setattr(cache, "_POLL_S", 0.01)

    def status(label: str, **_: object) -> None:
        said.append(label)
        # The page has said what it waits for: now it may go on.
        may_import.set()

    monkeypatch.setattr(cache.st, "status", status)
    page = AppTest.from_function(asking_page).run(timeout=PATIENCE_S)
    assert said[0] == text("common.warm_up_libraries", "en")
    assert page.markdown[0].value == "model 32"
    assert cache.warm_up_state() == cache.WarmUp("ready", done=True)


def test_the_model_is_loaded_once_and_frozen(monkeypatch: pytest.MonkeyPatch):
    loads: list[str] = []

    def load(source: str) -> SimpleNamespace:
        loads.append(source)
        return SimpleNamespace(d_model=32, find_hooks=list)

    monkeypatch.setattr(libraries, "import_libraries", lambda: None)
    monkeypatch.setattr(sources, "load_model", load)
    gc.unfreeze()
    for _ in range(3):
        page = AppTest.from_function(asking_page).run(timeout=PATIENCE_S)
        assert page.markdown[0].value == "model 32"
    assert loads == ["storybook"]
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_a_missing_model_is_told_to_every_page_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
):
    there = False

    def load(_source: str) -> SimpleNamespace:
        if not there:
            raise MissingError("unknown_run", run="x")
        return SimpleNamespace(d_model=32, find_hooks=list)

    monkeypatch.setattr(libraries, "import_libraries", lambda: None)
    monkeypatch.setattr(sources, "load_model", load)
    page = AppTest.from_function(asking_page).run(timeout=PATIENCE_S)
    assert len(page.error) == 1
    assert cache.warm_up_state().stage == "failed"
    there = True
    assert page.run().markdown[0].value == "model 32"


def test_a_bug_in_the_warm_up_is_logged_and_ends_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(libraries, "import_libraries", fail)
    monkeypatch.setattr(
        sources,
        "load_model",
        lambda _source: SimpleNamespace(d_model=32, find_hooks=list),
    )
    page = AppTest.from_function(asking_page).run(timeout=PATIENCE_S)
    assert page.markdown[0].value == "model 32"
    assert cache.warm_up_state().stage == "failed"
    assert "ZeroDivisionError" in caplog.text
