"""Estimates learn from what earlier runs took here."""

from dataclasses import replace
from typing import Any

import pytest

from tinysae.config import TrainConfig
from tinysae.jobs.files import write_json
from tinysae.jobs.job import TOOK_NAME
from tinysae.runs.experience import N_RUNS, Experience, experience
from tinysae.runs.store import Run, create_run
from tinysae.sae.estimate import Speed, estimate

SPEED = Speed(product_flops=1e11, pass_bytes=1e10, model_tokens=1e5, n_cores=2)
CONFIG = TrainConfig(train_batch_size_tokens=100)


@pytest.fixture(autouse=True)
def _home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSAE_HOME", str(tmp_path))


def ran(
    seconds: float = 100.0,
    *,
    peak: float = 1e9,
    config: TrainConfig = CONFIG,
    **guess: Any,
) -> Run:
    """10,000 tokens, at about 1,000 a second and in 1 GB as it was thought."""
    expected = {"tokens_per_s": [500, 2000], "memory_bytes": 10**9, **guess}
    run = create_run(config, expected)
    took = {"training": seconds, "n_tokens": 10_000, "peak_memory_bytes": peak}
    write_json(run.path / TOOK_NAME, took)
    return run


def test_without_earlier_runs_nothing_is_corrected() -> None:
    assert experience([], CONFIG.architecture) == Experience()
    assert experience([create_run(CONFIG)], CONFIG.architecture) == Experience()


def test_time_is_corrected_by_the_middle_run_and_memory_by_the_largest() -> None:
    runs = [ran(20, peak=1.6e9), ran(80, peak=1.2e9), ran(30, peak=0.4e9)]
    found = experience(runs, CONFIG.architecture)
    assert found.times == pytest.approx(3)
    assert found.more_bytes == 600_000_000
    assert found.n_runs == 3


def test_a_run_of_a_few_steps_teaches_nothing() -> None:
    # All of them were its beginning.
    wide = TrainConfig(train_batch_size_tokens=512)
    assert experience([ran(config=wide)], CONFIG.architecture) == Experience()


def test_memory_is_never_promised_below_what_the_shapes_say() -> None:
    assert experience([ran(peak=1e8)], CONFIG.architecture).more_bytes == 0


def test_what_was_corrected_before_is_not_corrected_twice() -> None:
    # As it was foreseen, with what had been learnt.
    run = ran(10, peak=1e9, times=3.0, more_bytes=600_000_000)
    found = experience([run], CONFIG.architecture)
    assert found.times == pytest.approx(3)
    assert (found.more_bytes, found.n_runs) == (600_000_000, 1)


def test_an_estimate_that_is_corrected_meets_what_happened() -> None:
    first = estimate(CONFIG, SPEED, 256, 10**6)
    run = create_run(CONFIG, first.to_json())
    middle = (first.tokens_per_s[0] * first.tokens_per_s[1]) ** 0.5
    took = {
        "training": 4 * 10_000 / middle,
        "n_tokens": 10_000,
        "peak_memory_bytes": first.memory_bytes + 5,
    }
    seconds = took["training"]
    if seconds < 2:
        took = {**took, "training": 100 * seconds, "n_tokens": 1_000_000}
    write_json(run.path / TOOK_NAME, took)
    learnt = experience([run], CONFIG.architecture)
    second = estimate(
        CONFIG,
        SPEED,
        256,
        10**6,
        times=learnt.times,
        more_bytes=learnt.more_bytes,
    )
    assert second.seconds[0] == pytest.approx(4 * first.seconds[0])
    assert second.tokens_per_s[1] == pytest.approx(first.tokens_per_s[1] / 4)
    assert second.memory_bytes == first.memory_bytes + 5
    # And again: the same, not four times as long once more.
    again = create_run(CONFIG, second.to_json())
    write_json(again.path / TOOK_NAME, took)
    assert experience([again], CONFIG.architecture).times == pytest.approx(4)


def test_runs_of_the_same_architecture_count_alone() -> None:
    other = replace(CONFIG, architecture="standard")
    runs = [ran(100), ran(20, config=other)]
    assert experience(runs, "standard").times == pytest.approx(2)
    assert experience(runs, "gated").n_runs == 2


def test_only_the_newest_count() -> None:
    runs = [ran(20) for _ in range(N_RUNS)] + [ran(400)]
    assert experience(runs, CONFIG.architecture).times == pytest.approx(2)


@pytest.mark.parametrize(
    "guess",
    [
        {"tokens_per_s": "ab"},
        {"tokens_per_s": []},
        {"tokens_per_s": [0, 0]},
        {"tokens_per_s": [float("nan"), 1]},
        {"memory_bytes": None},
        {"times": -1},
        {"times": 10**400},
        {"tokens_per_s": [1e9, 1e9]},
    ],
)
def test_what_is_no_estimate_teaches_nothing(guess: dict[str, Any]) -> None:
    assert experience([ran(**guess)], CONFIG.architecture) == Experience()


def test_a_training_of_a_moment_teaches_nothing() -> None:
    assert experience([ran(0.02)], CONFIG.architecture) == Experience()


def test_other_programs_make_the_worst_case_worse_and_no_other() -> None:
    idle = estimate(CONFIG, SPEED, 256, 10**6)
    busy = estimate(CONFIG, SPEED, 256, 10**6, others=2.0)
    assert busy.seconds[0] == idle.seconds[0]
    assert busy.seconds[1] == pytest.approx(2 * idle.seconds[1])
