"""The tiny random model, built once a session and loaded like any other."""

from pathlib import Path

import pytest

from tests.unit.tiny_model import build_tiny_model
from tinysae.model.sources import LoadedModel, load_model


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's folder; copy it before changing anything in it."""
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_model(tiny_model_dir: Path) -> LoadedModel:
    """The tiny model, loaded: d_model 32, 2 layers, 64 positions, byte-level BPE."""
    return load_model(str(tiny_model_dir))
