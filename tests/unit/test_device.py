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
from tinysae.sae.device import device_at_hand, resolve_device, rounded_products
from tinysae.sae.encode import Encoder
from tinysae.sae.encode_on_device import DeviceEncoder
from tinysae.sae.load import load_sae
from tinysae.sae.rows import StepMetrics
from tinysae.sae.step.engine import DENSE, EngineChoice
from tinysae.sae.train import SAETraining, fuse_adam
from tinysae.setting import Precision
from tinysae.worker import load
from tinysae.worker.finish import evaluated
from tinysae.worker.held_out import HeldOut

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


def test_what_is_computed_on_a_device_stays_there(placed_model: Any, here: Any) -> None:
    training = SAETraining(config_for(), placed_model)
    training.estimate_norm(lambda _: True)
    crossed: list[list[Any]] = []

    def progress(_: int, __: StepMetrics | None) -> bool:
        crossed.append(here.copy())
        here.clear()
        return len(crossed) < STEPS

    here.clear()
    training.run(progress)
    training.close()
    every = [crossing for step in crossed for crossing in step]
    # Down go the losses, what a row says and, now and then, how often each feature
    # fired; up go tokens and places in the buffer. No batch, and no weights.
    down = [crossing.n for crossing in every if crossing.to == "cpu"]
    assert max(down) <= training.config.d_sae
    assert sum(n > 4 for n in down) == STEPS // training.config.feature_sampling_window
    up = [crossing for crossing in every if crossing.to == "device" and crossing.n > 1]
    assert {crossing.dtype for crossing in up} == {torch.int64}


# torch holds that nothing is copied into a tensor of its "meta" device.
@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
def test_a_run_is_resumed_on_a_device(placed_model: Any, tmp_path: Path) -> None:
    whole = SAETraining(config_for(), placed_model)
    rows = trained(whole)
    first = SAETraining(config_for(), placed_model)
    assert trained(first, 5) == rows[:5]
    (tmp_path / "checkpoint").mkdir()
    first.save_checkpoint(tmp_path / "checkpoint")
    again = SAETraining(config_for(), placed_model)
    again.resume(tmp_path / "checkpoint")
    assert trained(again) == rows[5:]
    found, wanted = weights(again, tmp_path / "again"), weights(whole, tmp_path / "all")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
def test_a_fused_adam_counts_its_steps_where_it_computes(
    placed_model: Any, tmp_path: Path
) -> None:
    first = SAETraining(config_for(), placed_model)
    trained(first, 5)
    first.save_checkpoint(tmp_path)
    again = SAETraining(config_for(), placed_model)
    optimizer = again._trainer.optimizer
    fuse_adam(optimizer)
    again.resume(tmp_path)
    steps = [state["step"] for state in optimizer.state.values()]
    assert all(isinstance(step, Placed) and step.item() == 5 for step in steps)


def test_an_evaluation_and_a_look_run_where_the_model_is(
    tiny_model: Any, placed_model: Any, tmp_path: Path, short_text: Path
) -> None:
    config = config_for(dataset_path=str(short_text))
    training = SAETraining(config, placed_model)
    trained(training)
    held_out = HeldOut.of(training.config)
    text = training.held_out_text(list(held_out.contexts(placed_model, 7, 64)))
    assert 0 < training.look(text)["l0"] <= 48
    weights(training, tmp_path / "sae")
    sae = load_sae(tmp_path / "sae")
    there, here = (
        evaluated(sae, model, held_out) for model in (placed_model, tiny_model)
    )
    assert there.to_json() == pytest.approx(here.to_json(), rel=1e-3)


def test_a_device_finds_the_pairs_that_the_cpu_finds(
    tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinysae.sae.encode_on_device.ACTIVATIONS_AT_ONCE", 48 * 50)
    x = torch.randn(120, 32, generator=torch.Generator().manual_seed(0)).numpy()
    for architecture in choices("architecture"):
        training = SAETraining(config_for(architecture), tiny_model)
        trained(training, 3)
        weights(training, tmp_path / architecture)
        sae = load_sae(tmp_path / architecture)
        found: list[dict[tuple[int, int], float]] = []
        for encoder in (Encoder(sae), DeviceEncoder(sae, "cpu")):
            with encoder:
                pairs = encoder.pairs(x, token=1000)
            found.append(
                {
                    (piece.begin + feature, int(piece.token[at])): float(
                        piece.value[at]
                    )
                    for piece in pairs
                    for feature in range(len(piece.first) - 1)
                    for at in range(piece.first[feature], piece.first[feature + 1])
                }
            )
        assert found[0]
        assert found[1] == pytest.approx(found[0], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_only_cuda_rounds_what_it_multiplies(device: str) -> None:
    before = torch.get_float32_matmul_precision()
    with rounded_products("tf32", device):
        assert torch.get_float32_matmul_precision() == before


def test_cuda_rounds_as_the_settings_say_and_only_meanwhile() -> None:
    before = torch.get_float32_matmul_precision()
    cases: tuple[tuple[Precision, str], ...] = (
        ("float32", "highest"),
        ("tf32", "high"),
    )
    for precision, rounds in cases:
        with rounded_products(precision, "cuda"):
            assert torch.get_float32_matmul_precision() == rounds
        assert torch.get_float32_matmul_precision() == before


def test_a_run_of_a_gpu_can_be_read_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_at_hand("cuda") == device_at_hand("auto") == "cpu"
    with pytest.raises(SettingError, match="device"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device_at_hand("auto") == "cpu"
    assert device_at_hand("mps") == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_at_hand("cuda") == device_at_hand("auto") == "cuda"
    assert device_at_hand("cpu") == "cpu"


@pytest.mark.usefixtures("tiny_home")
def test_a_worker_puts_the_model_where_the_settings_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tinysae.runs.store import create_run

    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(load.os, "nice", lambda _: 0)
    monkeypatch.setattr(
        "tinysae.model.sources.load_model", lambda _, device: asked.append(device)
    )
    for device in ("auto", "cpu"):
        load.load_model(create_run(config_for(device=device)))
    assert asked == ["cuda", "cpu"]


def test_a_model_elsewhere_than_the_settings_say_is_refused(placed_model: Any) -> None:
    with pytest.raises(SettingError, match="device"):
        SAETraining(config_for(device="cpu"), placed_model)
