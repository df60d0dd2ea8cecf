"""What several modules about one page have in common."""

from pathlib import Path

import pytest

from tests.builders import write_model
from tests.conftest import PATIENCE_S
from tinysae.config import TrainConfig
from tinysae.jobs import launch
from tinysae.runs.store import Run
from tinysae.ui.shell import cache
from tinysae.ui.write import stories


@pytest.fixture(scope="session")
def hostile_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """What the page asked to start; no worker is, and the run is made."""
    configs: list[TrainConfig] = []

    def launched(run: Run, command: str) -> None:
        assert command == "train"
        configs.append(run.config)

    monkeypatch.setattr(launch, "launch", launched)
    return configs


@pytest.fixture(scope="module")
def warm() -> None:
    """The model is there: a page that came before it is looked at on purpose."""
    cache.start_warm_up()
    assert cache._warm_up_thread().finished.wait(PATIENCE_S)


@pytest.fixture
def written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stories come whole: on a busy machine the page would be drawn anew every few
    tokens."""
    monkeypatch.setattr(stories, "DRAW_EVERY_S", PATIENCE_S)
