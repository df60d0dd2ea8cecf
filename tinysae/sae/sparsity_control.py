"""The sparsity coefficient, steered so that a training ends at the L0 asked for.

Which coefficient gives an L0 depends on the model, the hook, the width and the length
of the run. Steered, it is looked for while the SAE is trained. With n the step, N the
steps of the run, c the coefficient, L the batch's L0 and L* the one asked for:

    log c <- log c + max(K / n, R / N) * lr_n / lr * clip(e, -E, E)
    e = log L - p H - log L*,    H = log(N / n) / (1 + log(N / n) / h)

That is a multiplicative integral controller, since L0 roughly is a power of c; its gain
falls as 1 / n, as in Robbins and Monro's "A stochastic approximation method" (1951), as
long as there is far to go, and then stays at R, which follows what still drifts.

`p H` foretells the end. Held at one coefficient, L0 goes on falling as a power
of n; who keeps it at L* from the start needs a far larger coefficient at first than at
last, and a plain run with the last one ends elsewhere (4 to 11 % off in three runs).
p is how fast log L + G log c falls in log n now, as two running averages in log n tell
it; G log c takes out most of what c itself has moved. A batch's noise needs no other
filter: what is summed up averages it.

It begins after the coefficient's warm-up, and not before `START` of the run: what is
active at first are the initial weights. As the learning rate decays the SAE moves less,
and so does the coefficient (`lr_n / lr`); for the last `REST` of the run it stands
still, and the SAE settles with it. c stays within `LOWEST` and `HIGHEST`, and nothing
is summed up beyond them (clamping, the plainest anti-windup).

L is the batch's own. Each batch is measured before its step, so that its L0 is that of
text not learnt from yet, for nothing (at the end of seven plain runs within 0.5 % of
the L0 on 200k held-out tokens); a sample of held-out text of a bearable size is less
exact. A text that is read again and again has no such tokens: there the evaluation
on held-out text, at the end, says how far off that was.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tinysae.checked_numbers import is_number, is_number_within, number
from tinysae.config import TrainConfig, is_read, reads

# K and R: of an error, what is corrected while n grows by a factor of e, and what would
# be in a whole run.
GAIN, PACE = 2.0, 20.0
# E, as a factor: what is further off is steered no faster. L0 begins at half of all.
MOST_TIMES_OFF = 1.6
# Of what the coefficient is set to: features that learn under too weak a penalty find
# their places later; those that too strong a one has bent or killed do not.
BEGIN = 0.25
# Shares of the run: steered not before, and not after.
START, REST = 0.08, 0.05
# How far back the averages look, in log n: one over a batch's noise, one for the trend.
NOISE_WINDOW, TREND_WINDOW = 0.06, 0.5
# p at the start, as it is of most SAEs, and the steepest that is believed.
USUAL_SLOPE, STEEPEST = 0.65, 1.0
# It flattens: how far ahead, in log n, it is believed at most.
HORIZON = 3.0
# G: measured between 0.65 (JumpReLU) and 1.6 (standard). Above the true one, the trend
# would take a rise of the coefficient for one of L0, and swing.
USUAL_POWER = 0.8
# Beyond these one of the loss's terms is nothing beside the other.
LOWEST, HIGHEST = 1e-4, 1e4
# An L0 of 0 has no logarithm: less than a feature in a thousand tokens.
LEAST_L0 = 1e-3
# An L0 this near to the one asked for is that.
TOLERANCE = 0.05
SETTLED = "settled_coefficient"
"""In a run's records: the coefficient that was found."""

_STATE = ("coefficient", "near", "trend")


class SparsityControl:
    """The law above, for one run. Equal calls give equal bits."""

    def __init__(self, config: TrainConfig) -> None:
        name = coefficient_setting(config)
        assert name is not None, "not of this architecture"
        warm_up: int = getattr(config, name.replace("coefficient", "warm_up_steps"))
        self._steps = config.total_training_steps
        self._first = max(warm_up, math.ceil(START * self._steps), 1)
        self._last = self._steps - math.ceil(REST * self._steps)
        # A decay that is linear halves what its steps move.
        self._end = self._steps - config.lr_decay_steps / 2
        self._lr, self._target = config.lr, math.log(config.wanted_l0)
        self.coefficient = _bounded(BEGIN * getattr(config, name))
        """What it is after its warm-up."""
        self._near: float | None = None
        self._trend = 0.0

    def hear(self, step: int, l0: float, lr: float) -> None:
        """Steers by the L0 of the batch that `step` (from 0) has just read, with the
        learning rate `lr`."""
        n = step + 1
        if not self._first <= n < self._last:
            return
        own = USUAL_POWER * math.log(self.coefficient)
        near, slope = self._followed(n, math.log(max(l0, LEAST_L0)) + own)
        # On a ramp an average is behind by its window.
        ahead = NOISE_WINDOW + max(0.0, math.log(self._end / n))
        fall = slope * ahead / (1 + ahead / HORIZON)
        error = near - own - fall - self._target
        most = math.log(MOST_TIMES_OFF)
        gain = max(GAIN / n, PACE / self._steps) * lr / self._lr
        move = gain * min(most, max(-most, error))
        self.coefficient = _bounded(self.coefficient * math.exp(move))

    def _followed(self, n: int, height: float) -> tuple[float, float]:
        """log L + G log c without its noise, and p; the batch's is `height`."""
        if self._near is None:
            self._near, self._trend = height, height + USUAL_SLOPE * TREND_WINDOW
        near = self._near + min(1.0, 1 / (n * NOISE_WINDOW)) * (height - self._near)
        self._trend += min(1.0, 1 / (n * TREND_WINDOW)) * (near - self._trend)
        self._near = near
        falls = (self._trend - near) / TREND_WINDOW
        return near, min(STEEPEST, max(0.0, falls))

    def steer(self, trainer: Any) -> None:
        """Makes it the coefficient of SAELens's `trainer`, whose warm-up goes on."""
        for scheduler in trainer.coefficient_schedulers.values():
            scheduler.final_value = self.coefficient
            # From the step it is at, what its value is then: at once.
            scheduler.load_state_dict({"current_step": scheduler.current_step})

    def state(self) -> dict[str, float | None]:
        """All that `restore` needs, as JSON."""
        return dict(
            zip(_STATE, (self.coefficient, self._near, self._trend), strict=True)
        )

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from where `state` was called.

        Raises:
            KeyError, TypeError, ValueError: it is not what `state` gave.
        """
        coefficient, near, trend = (state[name] for name in _STATE)
        if not is_number_within(coefficient, float, LOWEST, HIGHEST):
            raise ValueError("coefficient")
        if not is_number(trend) or not (near is None or is_number(near)):
            raise ValueError("trend")
        self.coefficient, self._near, self._trend = coefficient, near, trend


def is_steered(config: TrainConfig) -> bool:
    """Whether the coefficient follows L0."""
    return config.wanted_l0 > 0 and is_read("wanted_l0", vars(config))


def coefficient_setting(config: TrainConfig) -> str | None:
    """The setting of the sparsity term's weight; None where there is no such term."""
    names = ("l1_coefficient", "l0_coefficient")
    return next((name for name in names if reads(config.architecture, name)), None)


def l0_setting(values: Mapping[str, Any]) -> str:
    """The setting by which an L0 is asked for, the other settings being `values`."""
    names = ("k", "wanted_l0", "target_l0")
    return next(name for name in names if is_read(name, values))


def asked_l0(config: TrainConfig) -> float | None:
    """The active features a token that are asked for; None where it is a coefficient
    that decides."""
    return getattr(config, l0_setting(vars(config))) or None


def settled_coefficient(made_with: Mapping[str, Any]) -> float | None:
    """The coefficient that a run's records say was found; None where none was."""
    return number(made_with.get(SETTLED), LOWEST, HIGHEST)


def repeated_plainly(config: TrainConfig, coefficient: float) -> TrainConfig:
    """The settings of a run that is not steered, with what a steered one has found."""
    name = coefficient_setting(config)
    return replace(config, wanted_l0=0.0, **{name: coefficient} if name else {})


def _bounded(coefficient: float) -> float:
    return min(HIGHEST, max(LOWEST, coefficient))
