"""The law that steers a coefficient, on a plant made by hand; and in real trainings."""

import json
import math
import random
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.test_resume import config_for, edit_numbers, trained, weights
from tinysae.config import TrainConfig
from tinysae.errors import DamagedError
from tinysae.sae.estimate import Speed, estimate
from tinysae.sae.sparsity_control import (
    BEGIN,
    HIGHEST,
    LOWEST,
    REST,
    START,
    SparsityControl,
    asked_l0,
    coefficient_setting,
    is_steered,
    l0_setting,
    repeated_plainly,
    settled_coefficient,
)
from tinysae.sae.train import SAETraining

STEPS, BATCH, WANTED = 1000, 64, 20.0
ARCHITECTURES = ("standard", "gated", "jumprelu")


def steered(**changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "architecture": "standard",
        "training_tokens": STEPS * BATCH,
        "train_batch_size_tokens": BATCH,
        "wanted_l0": WANTED,
        "l1_warm_up_steps": STEPS // 20,
    }
    return TrainConfig(**{**settings, **changes})


class Plant:
    """An SAE as seen from its coefficient c: held there, L0 is on its way to
    `at_one` c^-`power` (n / N)^-`fall`, with a delay, behind by a share of the steps so
    far, and with noise."""

    def __init__(
        self, power: float, fall: float, *, at_one: float = WANTED, delay: int = 5
    ) -> None:
        self._power, self._fall, self._at_one = power, fall, at_one
        self._height = math.log(300)
        self._heard = deque([1e-3] * delay)
        self._random = random.Random(0)

    def step(self, n: int, coefficient: float) -> float:
        """The L0 of step n (from 1), the coefficient being set to that after it."""
        self._heard.append(coefficient)
        aim = math.log(self._at_one) - self._power * math.log(self._heard.popleft())
        aim = min(math.log(500), aim - self._fall * math.log(n / STEPS))
        self._height += (aim - self._height) / (5 + 0.02 * n)
        return math.exp(self._height)

    def noisy(self, l0: float) -> float:
        return l0 * math.exp(self._random.gauss(0, 0.03))


def run(control: SparsityControl, plant: Plant) -> tuple[list[float], list[float]]:
    """The L0 and the coefficient of each step."""
    found: list[float] = []
    held: list[float] = []
    for step in range(STEPS):
        found.append(plant.step(step + 1, control.coefficient))
        control.hear(step, plant.noisy(found[-1]), TrainConfig.lr)
        held.append(control.coefficient)
    return found, held


# An L0 that answers strongly or weakly, and falls fast or hardly by itself: as measured
# of standard, gated and jumprelu SAEs of the embedded model.
PLANTS = [(1.6, 0.45), (1.5, 0.85), (0.7, 0.3), (1.0, 0.0)]


@pytest.mark.parametrize("start", [0.8, 5.0, 20.0])
@pytest.mark.parametrize(("power", "fall"), PLANTS)
def test_the_end_has_the_l0_that_was_asked_for(
    power: float, fall: float, start: float
) -> None:
    control = SparsityControl(steered(l1_coefficient=start))
    found, held = run(control, Plant(power, fall))
    assert found[-1] == pytest.approx(WANTED, rel=0.05)
    # It settles: nothing swings in the second half of the run.
    assert max(held[STEPS // 2 :]) < 1.35 * min(held[STEPS // 2 :])


@pytest.mark.parametrize(("power", "fall"), PLANTS)
def test_a_plain_run_of_the_plant_repeats_it(power: float, fall: float) -> None:
    control = SparsityControl(steered(l1_coefficient=2.0))
    run(control, Plant(power, fall))
    plain = Plant(power, fall)
    found = [plain.step(step + 1, control.coefficient) for step in range(STEPS)]
    assert found[-1] == pytest.approx(WANTED, rel=0.06)


def test_it_moves_only_between_the_warm_up_and_the_rest() -> None:
    control = SparsityControl(steered(l1_coefficient=2.0, l1_warm_up_steps=300))
    _, held = run(control, Plant(1.0, 0.3))
    begin = BEGIN * 2.0
    assert set(held[:299]) == {begin}
    assert held[299] != begin
    rest = int(REST * STEPS)
    assert len(set(held[-rest - 1 :])) == 1
    early = SparsityControl(steered(l1_coefficient=2.0, l1_warm_up_steps=0))
    _, held = run(early, Plant(1.0, 0.3))
    first = next(step for step, value in enumerate(held) if value != begin)
    assert first == math.ceil(START * STEPS) - 1


def test_without_a_learning_rate_nothing_is_learnt_and_nothing_moved() -> None:
    control = SparsityControl(steered(l1_coefficient=2.0))
    for step in range(STEPS):
        control.hear(step, 300.0, 0.0)
    assert control.coefficient == BEGIN * 2.0


@pytest.mark.parametrize(("l0", "rail"), [(1e6, HIGHEST), (0.0, LOWEST)])
def test_what_cannot_be_reached_stops_at_a_rail_and_leaves_it_at_once(
    l0: float, rail: float
) -> None:
    # Begun near it: how fast the coefficient moves is bounded, too.
    near = rail / 10 if rail > 1 else rail * 10
    control = SparsityControl(steered(l1_coefficient=near / BEGIN))
    for step in range(STEPS // 2):
        control.hear(step, l0, TrainConfig.lr)
        assert LOWEST <= control.coefficient <= HIGHEST
    assert control.coefficient == pytest.approx(rail)
    # Had it been summed up beyond the rail, the way back would be as long.
    other = WANTED**2 / max(l0, 1e-3)
    for step in range(STEPS // 2, STEPS * 3 // 5):
        control.hear(step, other, TrainConfig.lr)
    assert control.coefficient != pytest.approx(rail, rel=0.5)


def test_a_state_that_is_read_back_goes_on_to_the_bit() -> None:
    config, plant = steered(), Plant(1.0, 0.4)
    whole, cut = SparsityControl(config), SparsityControl(config)
    heard = [plant.noisy(40.0) for _ in range(STEPS)]
    for step, l0 in enumerate(heard):
        whole.hear(step, l0, config.lr)
        cut.hear(step, l0, config.lr)
        if step % 97 == 0:
            state = json.loads(json.dumps(cut.state()))
            cut = SparsityControl(config)
            cut.restore(state)
    assert cut.state() == whole.state()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_resumed_training_is_steered_on_to_the_bit(
    architecture: str, tiny_model: Any, tmp_path: Path
) -> None:
    config = config_for(architecture, wanted_l0=6.0, l1_warm_up_steps=2)
    whole = SAETraining(config, tiny_model)
    expected = trained(whole)
    assert len({row["coefficient"] for row in expected}) > 5
    # Within the warm-up, and after it.
    for at in (1, 7):
        first, folder = SAETraining(config, tiny_model), tmp_path / f"{at}"
        folder.mkdir()
        rows = trained(first, at)
        first.save_checkpoint(folder)
        second = SAETraining(config, tiny_model)
        second.resume(folder)
        rows += trained(second)
        assert rows == expected
        assert second.settled_coefficient == whole.settled_coefficient
        ours = weights(second, folder / "a")
        theirs = weights(whole, folder / "b")
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "state",
    [
        None,
        {"near": 1.0, "trend": 1.0},
        {"coefficient": "1", "near": 1.0, "trend": 1.0},
        {"coefficient": 1e300, "near": 1.0, "trend": 1.0},
        {"coefficient": 1.0, "near": math.nan, "trend": 1.0},
        {"coefficient": 1.0, "near": 1.0, "trend": None},
    ],
)
def test_a_damaged_state_is_refused(
    state: Any, tiny_model: Any, tmp_path: Path
) -> None:
    config = config_for("standard", wanted_l0=6.0)
    training = SAETraining(config, tiny_model)
    trained(training, 3)
    training.save_checkpoint(tmp_path)
    edit_numbers(tmp_path, sparsity_control=state)
    with pytest.raises(DamagedError):
        SAETraining(config, tiny_model).resume(tmp_path)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_switched_off_nothing_is_steered_or_kept(
    architecture: str, tiny_model: Any, tmp_path: Path
) -> None:
    training = SAETraining(config_for(architecture), tiny_model)
    rows = trained(training)
    assert len({row["coefficient"] for row in rows[8:]}) == 1
    assert training.settled_coefficient is None
    training.save_checkpoint(tmp_path)
    assert "sparsity_control" not in json.loads((tmp_path / "state.json").read_text())


def test_saelens_own_step_is_steered_by_the_same_law(tiny_model: Any) -> None:
    """bfloat16 is what ours does not do."""
    training = SAETraining(
        config_for("standard", wanted_l0=6.0, dtype="bfloat16"), tiny_model
    )
    rows = trained(training)
    assert training.engine.reason == "dtype"
    # A batch here is smaller than a smoothed L0 is made of: the law, once more, alone.
    law = SparsityControl(training.config)
    for row in rows:
        law.hear(row["step"], row["l0"], row["lr"])
    assert training.settled_coefficient == law.coefficient
    assert law.coefficient != training.config.l1_coefficient


def test_which_setting_asks_for_an_l0() -> None:
    assert l0_setting({"architecture": "batchtopk"}) == "k"
    assert l0_setting({"architecture": "gated"}) == "wanted_l0"
    quadratic: dict[str, Any] = {"jumprelu_sparsity_loss_mode": "quadratic"}
    assert l0_setting({"architecture": "jumprelu", **quadratic}) == "target_l0"
    assert l0_setting({"architecture": "jumprelu"}) == "wanted_l0"
    assert asked_l0(TrainConfig(architecture="topk", k=7)) == 7
    assert asked_l0(TrainConfig(architecture="standard")) is None
    assert asked_l0(TrainConfig(architecture="standard", wanted_l0=9)) == 9
    assert not is_steered(TrainConfig(architecture="topk", wanted_l0=9))
    assert not is_steered(
        TrainConfig(architecture="jumprelu", wanted_l0=9, **quadratic)
    )


def test_what_was_found_can_be_repeated_plainly() -> None:
    config = TrainConfig(architecture="jumprelu", wanted_l0=9, seed=5)
    assert coefficient_setting(config) == "l0_coefficient"
    plain = TrainConfig(architecture="jumprelu", l0_coefficient=0.7, seed=5)
    assert repeated_plainly(config, 0.7) == plain
    assert settled_coefficient({"settled_coefficient": 0.7}) == 0.7
    for damage in (None, "1", math.nan, -1, 1e9, True):
        assert settled_coefficient({"settled_coefficient": damage}) is None


def test_the_estimate_counts_with_the_l0_that_is_asked_for() -> None:
    speed = Speed(1e11, 1e10, 1e6, 2)

    def seconds(**changes: Any) -> float:
        config = TrainConfig(architecture="standard", **changes)
        return estimate(config, speed, 256, 1_000_000).seconds[0]

    assert seconds(wanted_l0=20) < seconds() < seconds(wanted_l0=400)
    assert seconds(wanted_l0=100) == seconds()
