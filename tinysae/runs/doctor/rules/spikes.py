"""The loss jumps up again and again, and comes back."""

from tinysae.runs.doctor.case import NAN, TOO_EARLY, Case, middle, ratio
from tinysae.runs.doctor.diagnosis import USUAL_LR, Finding, Rule, Seriousness
from tinysae.setting import WITH_RESTARTS

# Above this many times the rows before it, a row begins a spike.
TIMES = 1.5
BEFORE = 12
# One bad batch is no spike.
LEAST = 3
# Batches are drawn apart, and a bad one is a row: where several rows in a run are high,
# the step has thrown the weights off. Twice is no accident then.
LASTS, LEAST_LASTING = 3, 2
# Of a curve of any length, what is looked at.
MOST_ROWS = 3000
SMALLER = 4
USUAL_BETA2 = 0.999


def find(case: Case) -> Finding | None:
    mse = case.values("mse")
    high = {at for at in _judged(mse) if _height(mse, at) > TIMES}
    several = _places(high)
    # Of a place this counts what goes on that long, once.
    lasting = _places({at for at in high if high.issuperset(range(at - LASTS + 1, at))})
    if several < LEAST and lasting < LEAST_LASTING:
        return None
    config = case.config
    remedy: dict[str, object] = {"lr": min(config.lr / SMALLER, USUAL_LR)}
    if config.lr_scheduler_name in WITH_RESTARTS[1]:
        # Each restart takes the learning rate back to its highest.
        remedy["lr_scheduler_name"] = "cosineannealing"
    if config.adam_beta2 < USUAL_BETA2:
        remedy["adam_beta2"] = USUAL_BETA2
    return Finding({"several": float(several), "times": TIMES}, remedy)


def _places(rows: set[int]) -> int:
    """How many there are, those that are neighbours taken together."""
    return sum(at - 1 not in rows for at in rows)


def highest(case: Case) -> float:
    """The highest spike after the beginning, in times of what was before it."""
    mse = case.values("mse")
    return max((_height(mse, at) for at in _judged(mse)), default=NAN)


def _judged(mse: list[float]) -> range:
    return range(max(round(TOO_EARLY / 2 * len(mse)), len(mse) - MOST_ROWS), len(mse))


def _height(mse: list[float], at: int) -> float:
    return ratio(mse[at], middle(mse[max(0, at - BEFORE) : at]))


RULE = Rule(
    "spikes",
    Seriousness.SPOILED,
    find,
    formula="MSE of a row over the median of the twelve before it",
    bound="1.5, after the run's beginning at three places, or at two that last for "
    "three rows",
    remedy="lr / 4, at most 0.002; no restarts; adam_beta2 0.999",
    source="Takase et al. 2023, [spikes](https://arxiv.org/abs/2312.16903)",
)
