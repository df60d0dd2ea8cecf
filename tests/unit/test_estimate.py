import itertools
from dataclasses import replace
from typing import Any

import pytest

from tinysae.config import TrainConfig
from tinysae.errors import InputError, SettingError
from tinysae.sae import estimate as estimate_module
from tinysae.sae.estimate import (
    HIGH,
    LOW,
    Speed,
    check_memory,
    estimate,
    measure,
    memory_bytes,
)

SPEED = Speed(product_flops=1e11, pass_bytes=1e10, model_tokens=1e5, n_cores=2)


def test_twice_the_speed_takes_half_the_time() -> None:
    config = TrainConfig()
    twice = Speed(2e11, 2e10, 2e5, n_cores=2)
    slow, fast = (
        estimate(config, SPEED, 256, 10**6),
        estimate(config, twice, 256, 10**6),
    )
    assert fast.seconds[0] == pytest.approx(slow.seconds[0] / 2)
    assert fast.tokens_per_s[1] == pytest.approx(slow.tokens_per_s[1] * 2)
    tokens = config.total_training_steps * config.train_batch_size_tokens
    assert slow.seconds[0] == pytest.approx(tokens / slow.tokens_per_s[1])
    assert slow.seconds[1] / slow.seconds[0] == pytest.approx(HIGH / LOW)


def test_a_model_that_takes_all_the_time_sets_the_speed() -> None:
    model_only = Speed(1e30, 1e30, 1000.0, n_cores=1)
    guess = estimate(TrainConfig(), model_only, 256, 10**6)
    assert guess.tokens_per_s == pytest.approx((1000 * LOW, 1000 * HIGH))


def test_an_architecture_without_a_step_of_ours_takes_as_long_as_saelens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = TrainConfig(architecture="standard")
    # Which only SAELens's own step trains.
    slow = estimate(replace(config, dtype="bfloat16"), SPEED, 256, 10**6)
    monkeypatch.delitem(estimate_module._COSTS, "standard")
    assert estimate(config, SPEED, 256, 10**6) == slow


def test_the_tutorials_weights_are_in_its_memory() -> None:
    config = TrainConfig(
        architecture="standard", d_sae=16_384, train_batch_size_tokens=4096
    )
    # Weights, gradients and two moments of W_enc and W_dec in float32.
    assert memory_bytes(config, 1024, 0) > 4 * 2 * 16_384 * 1024 * 4
    assert (
        memory_bytes(config, 1024, 10**6) == memory_bytes(config, 1024, 0) + 4 * 10**6
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"d_sae": 2**20, "train_batch_size_tokens": 256}, "d_sae"),
        (
            {"train_batch_size_tokens": 2**17, "d_sae": 2**17, "lr_decay_steps": 0},
            "train_batch_size_tokens",
        ),
        ({"n_batches_in_buffer": 4096}, "n_batches_in_buffer"),
    ],
)
def test_a_run_that_does_not_fit_names_what_asks_for_most(
    changes: dict[str, Any], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    class Memory:
        total = 5_000_000_000

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    check_memory(TrainConfig(), 256, 10**6)
    with pytest.raises(SettingError) as caught:
        check_memory(TrainConfig(**changes), 256, 10**6)
    assert caught.value.values["field"] == field
    assert caught.value.values["there"] == 5.0


def test_a_run_has_to_fit_the_gpu_that_trains_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (0, 80 * 10**9))
    check_memory(TrainConfig(), 256, 10**6, "cuda")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (0, 10**9))
    with pytest.raises(SettingError, match="memory"):
        check_memory(TrainConfig(), 256, 10**6, "cuda")


def test_the_machine_is_measured_with_the_model(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate_module, "MEASURE_S", 0.02)
    speed = measure(tiny_model, "blocks.0.hook_mlp_out")
    assert min(vars(speed).values()) > 0
    with pytest.raises(InputError):
        measure(tiny_model, "blocks.9.hook_mlp_out")


def test_what_else_a_machine_does_makes_it_no_slower(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate_module, "MEASURE_S", 0.1)
    # Every other product has to wait.
    steps = itertools.cycle((0.001, 0.004, 0.001, 0.02))
    took = itertools.accumulate(itertools.chain([0.0], steps))
    speed = measure(tiny_model, "blocks.0.hook_mlp_out", lambda: next(took))
    assert speed.product_flops == pytest.approx(2 * 512 * 1024 * 256 / 0.004)
