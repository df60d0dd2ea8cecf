from dataclasses import replace
from typing import Any

import pytest

from tests.builders import step_row
from tinysae.config import Architecture, TrainConfig
from tinysae.runs.advice import advice
from tinysae.sae.rows import StepMetrics

STEPS = 100


def config_for(architecture: Architecture) -> TrainConfig:
    return TrainConfig(
        architecture=architecture,
        d_sae=1000,
        training_tokens=STEPS * 64,
        train_batch_size_tokens=64,
    )


def rows(n: int = STEPS, **changes: Any) -> list[StepMetrics]:
    return [step_row(**changes, step=step) for step in range(n)]


def test_a_run_that_goes_well_or_has_just_begun_is_left_alone() -> None:
    assert advice(config_for("standard"), rows()) == []
    assert advice(config_for("standard"), []) == []
    assert advice(config_for("standard"), rows(20, n_dead=900, l0=0.0)) == []


@pytest.mark.parametrize(
    ("architecture", "changes", "key", "field"),
    [
        ("standard", {"n_dead": 500}, "many_dead_penalty", "l1_coefficient"),
        ("jumprelu", {"n_dead": 500}, "many_dead_penalty", "l0_coefficient"),
        ("batchtopk", {"n_dead": 500}, "many_dead_k", "d_sae"),
        ("standard", {"l0": 0.2}, "l0_low", "l1_coefficient"),
        ("gated", {"l0": 600.0}, "l0_high", "l1_coefficient"),
    ],
)
def test_what_goes_wrong_names_the_setting_to_change(
    architecture: Architecture, changes: dict[str, Any], key: str, field: str
) -> None:
    (found,) = advice(config_for(architecture), rows(**changes))
    assert found.key == f"train.advice_{key}"
    assert found.values["field"] == field


def test_of_a_steered_run_nobody_is_told_to_set_the_coefficient() -> None:
    config = replace(config_for("gated"), wanted_l0=20)
    (found,) = advice(config, rows(n_dead=500, l0=600.0))
    assert found.key == "train.advice_many_dead_steered"
    assert advice(config, rows(l0=600.0)) == []


def test_an_l0_that_falls_is_waited_for() -> None:
    falling = rows(l0=600.0)
    for step, row in enumerate(falling):
        row["l0"] = 900.0 - 5 * step
    assert advice(config_for("standard"), falling) == []


def test_a_k_is_not_blamed_for_being_dense() -> None:
    assert advice(config_for("topk"), rows(l0=600.0)) == []
