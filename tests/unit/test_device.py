"""Training and reading on a device that is not the CPU, told by a stand-in for one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.placed import Placed, device_there
from tests.unit.test_resume import STEPS, config_for, trained, weights
from tinysae.config import choices
from tinysae.data import activations
from tinysae.errors import SettingError
from tinysae.model.sources import LoadedModel, load_model
from tinysae.sae.device import device_at_hand, is_autocast, rounded_products
from tinysae.sae.step.engine import DENSE, EngineChoice
from tinysae.sae.train import SAETraining

BY_SAELENS = EngineChoice(DENSE, "", "")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    # The stand-in is there for one thread.
    monkeypatch.setattr(activations, "ahead", lambda items, n: (x for x in items))  # noqa: ARG005
    with device_there() as crossings:
        yield crossings


@pytest.fixture
def placed_model(here: list[Any], tiny_model_dir: Path) -> LoadedModel:  # noqa: ARG001
    return load_model(str(tiny_model_dir), device="meta")


@pytest.mark.parametrize("architecture", choices("architecture"))
def test_a_device_gives_the_numbers_of_the_cpu(
    architecture: str, tiny_model: Any, placed_model: Any, tmp_path: Path
) -> None:
    config = config_for(architecture)
    own = SAETraining(config, tiny_model, BY_SAELENS)
    there = SAETraining(config, placed_model)
    for found, wanted in zip(trained(there), trained(own), strict=True):
        assert found == pytest.approx(wanted, rel=1e-4)
    found, wanted = weights(there, tmp_path / "there"), weights(own, tmp_path / "own")
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-3, atol=1e-4)
    for training in (own, there):
        training.close()
