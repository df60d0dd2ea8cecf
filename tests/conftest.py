"""Fixtures for every kind of test: a home folder of one's own, pages to open."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

# A worker of pytest-xdist has a core: threads of its libraries, and of the processes
# that it starts, would only stand in the others' way. They read this when imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"
# A training's own process has a thread for every core all the same: those that wait
# for one another shall sleep, rather than go round and round on the others' cores.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
# A page under test keeps no process that waits for a job: its own test does.
os.environ["TINYSAE_READY_WORKER"] = "off"

import pytest
from hypothesis import HealthCheck, settings
from streamlit.testing.v1 import AppTest

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

ROOT = Path(__file__).parents[1]
# What takes longest is handed out first, so that no worker is left with it at the end.
LONGEST_FIRST = (
    *("browser/", "hub/", "unit/test_sweep", "unit/test_worker", "unit/test_index"),
    "app/",
)

# For a page that waits for the model, on a machine on which much else goes on.
PATIENCE_S = 180

settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

OpenPage = Callable[..., AppTest]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of the modules; within one, tests stay in theirs."""

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        ranks = [n for n, start in enumerate(LONGEST_FIRST) if path.startswith(start)]
        return min(ranks, default=len(LONGEST_FIRST))

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def installed_components() -> Iterator[None]:
    """Every run of an `AppTest` looks through all installed packages for components of
    Streamlit's, a third of a second each time: they are the same all along."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        once = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """A training in this process would take all cores for it, for good. Steps come to
    the same numbers with any (`test_step`, and trainings in processes of their own).
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield


@pytest.fixture
def tiny_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder: what the code under test writes goes there."""
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def open_page(tiny_home: Path) -> OpenPage:
    """`open_page("pages/train.py", language="ko", run="...")`: a page that has run.

    It is reached as a reader reaches it, through `app.py`, whose folder has the pages;
    keywords other than the language are the link's query. The home folder is empty.
    """
    assert tiny_home.is_dir()

    def open_page(
        path: str = "app.py",
        *,
        language: str = "en",
        timeout: float = 180,
        **query: str,
    ) -> AppTest:
        page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=timeout)
        if path != "app.py":
            page.switch_page(path)
        page.query_params["lang"] = language
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return open_page


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model's folder; copy it before changing anything in it."""
    # torch is imported here, not by tests that only look at a server's pages.
    from tests.unit.tiny_model import build_tiny_model

    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_model(tiny_model_dir: Path) -> "LoadedModel":
    """The tiny model, loaded: d_model 32, 2 layers, 64 positions, byte-level BPE."""
    from tinysae.model.sources import load_model

    return load_model(str(tiny_model_dir))


@pytest.fixture(scope="session")
def short_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text to train on whose held-out part is read in no time: the storybook's is
    read for 700,000 tokens, to evaluate, to index and to name an SAE's features."""
    file = tmp_path_factory.mktemp("text") / "short.txt"
    lines = (
        f"The cat saw dog number {n}. It ran to house {n * n}." for n in range(900)
    )
    file.write_text("\n\n".join(lines), encoding="utf-8")
    return file
