"""A training that is cut short and goes on, against one that never was."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tinysae.config import TrainConfig, choices
from tinysae.errors import DamagedError, TinysaeError
from tinysae.sae.train import SAETraining

STEPS, CUT = 14, 5


def config_for(architecture: str = "batchtopk", **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "architecture": architecture,
        "d_sae": 48,
        "k": 4,
        "context_size": 16,
        "training_tokens": STEPS * 64,
        "train_batch_size_tokens": 64,
        "n_batches_in_buffer": 4,
        "n_batches_for_norm_estimate": 3,
        "store_batch_size_prompts": 4,
        "lr": 3e-3,
        "lr_warm_up_steps": 3,
        "lr_decay_steps": 6,
        # Features die within a run, so that their auxiliary loss is at work too.
        "dead_feature_window": 2,
        "feature_sampling_window": 4,
    }
    if architecture in ("standard", "gated"):
        settings["l1_warm_up_steps"] = 8
    return TrainConfig(**{**settings, **changes})


def trained(training: SAETraining, most: int = STEPS) -> list[dict[str, Any]]:
    """The rows of at most `most` more steps."""
    if training.needs_norm:
        assert training.estimate_norm(lambda _: True)
    rows: list[Any] = []

    def progress(_: int, row: Any) -> bool:
        rows.append(row)
        return len(rows) < most

    training.run(progress)
    return rows


def weights(training: SAETraining, folder: Path) -> dict[str, torch.Tensor]:
    folder.mkdir()
    training.save(folder)
    return load_file(folder / "sae_weights.safetensors")


@pytest.mark.parametrize("architecture", choices("architecture"))
def test_a_resumed_training_gives_the_same_numbers_to_the_last_bit(
    architecture: str, tiny_model: Any, tmp_path: Path
) -> None:
    config = config_for(architecture)
    whole = SAETraining(config, tiny_model)
    expected = trained(whole)

    first = SAETraining(config, tiny_model)
    rows = trained(first, CUT)
    first.save_checkpoint(tmp_path)
    second = SAETraining(config, tiny_model)
    second.resume(tmp_path)
    assert second.n_steps == CUT
    assert not second.needs_norm
    rows += trained(second)

    assert rows == expected
    assert [row["step"] for row in rows] == list(range(STEPS))
    ours, theirs = weights(second, tmp_path / "a"), weights(whole, tmp_path / "b")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_saving_in_the_middle_changes_nothing(tiny_model: Any, tmp_path: Path) -> None:
    expected = trained(SAETraining(config_for(), tiny_model))
    training = SAETraining(config_for(), tiny_model)
    rows = trained(training, CUT)
    weights(training, tmp_path / "sae")
    training.save_checkpoint(tmp_path)
    assert rows + trained(training) == expected


def test_a_checkpoint_before_the_first_step_is_one_too(
    tiny_model: Any, tmp_path: Path
) -> None:
    training = SAETraining(config_for(), tiny_model)
    assert training.estimate_norm(lambda _: True)
    training.save_checkpoint(tmp_path)
    resumed = SAETraining(config_for(), tiny_model)
    resumed.resume(tmp_path)
    assert trained(resumed) == trained(training)


@pytest.fixture
def checkpoint(tiny_model: Any, tmp_path: Path) -> Path:
    training = SAETraining(config_for(), tiny_model)
    trained(training, 2)
    training.save_checkpoint(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"architecture": "standard"}, "architecture"),
        ({"d_sae": 32}, "act_freq_scores|sae.W_enc|sae.W_dec|sae.b_enc|adam"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused(
    changes: dict[str, Any], field: str, checkpoint: Path, tiny_model: Any
) -> None:
    with pytest.raises(DamagedError, match=field):
        SAETraining(config_for(**changes), tiny_model).resume(checkpoint)


def edit_numbers(folder: Path, **changes: Any) -> None:
    path = folder / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_tensor(folder: Path, name: str, value: float) -> None:
    tensors = load_file(folder / "state.safetensors")
    tensors[name] = torch.full_like(tensors[name], value)
    save_file(tensors, folder / "state.safetensors")


def cut(folder: Path) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lambda folder: (folder / "state.json").unlink(),
        lambda folder: (folder / "state.json").write_text("{"),
        lambda folder: edit_numbers(folder, format=99),
        lambda folder: edit_numbers(folder, n_training_steps=-1),
        lambda folder: edit_numbers(folder, n_batches_read="3"),
        lambda folder: edit_numbers(folder, scaling_factor=float("nan")),
        lambda folder: edit_numbers(folder, scaling_factor="2"),
        lambda folder: edit_tensor(folder, "sae.W_enc", float("nan")),
        lambda folder: edit_tensor(folder, "adam.exp_avg.W_dec", float("inf")),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    damage: Any, checkpoint: Path, tiny_model: Any
) -> None:
    damage(checkpoint)
    with pytest.raises(DamagedError, match=str(checkpoint)):
        SAETraining(config_for(), tiny_model).resume(checkpoint)


def test_a_training_that_leaves_for_good_says_what_to_change(tiny_model: Any) -> None:
    config = config_for("standard", lr=1.0, training_tokens=400 * 64)
    training = SAETraining(config, tiny_model)
    with pytest.raises(TinysaeError) as caught:
        trained(training, 400)
    assert caught.value.key in ("error.diverged", "error.diverged_far")
    assert caught.value.values["better"] == pytest.approx(0.2)
    assert training.n_steps < 200
    assert not training.is_healthy or caught.value.key == "error.diverged"
