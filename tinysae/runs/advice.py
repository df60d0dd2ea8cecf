"""What a run's curves say is going wrong, and which setting to change about it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tinysae.config import TrainConfig
from tinysae.sae.rows import StepMetrics
from tinysae.sae.sparsity_control import coefficient_setting, is_steered

# A run whose auxiliary loss wakes them up has a third of them dead on its way.
MANY_DEAD = 0.4
# Before this share of the run nothing is judged: every start looks bad.
TOO_EARLY = 0.3
# An L0 above this share of all features, or below one feature, tells nothing apart.
DENSE, SPARSE = 0.25, 1.0
# Over the last third of the rows, L0 has to have fallen by this much to be falling.
FALLING = 0.9


class Advice(NamedTuple):
    """A sentence of the catalogue (`train.advice_...`) and what it fills in."""

    key: str
    values: Mapping[str, object]


def advice(config: TrainConfig, rows: Sequence[StepMetrics]) -> list[Advice]:
    """What to say about a run whose curve so far is `rows`; empty when all is well."""
    if not rows or rows[-1]["step"] < TOO_EARLY * config.total_training_steps:
        return []
    given: list[Advice] = []
    last = rows[-1]
    penalty = coefficient_setting(config)
    if is_steered(config):
        # Nobody sets the coefficient: what is asked for is what there is to change.
        return _of_steered(config, last)
    dead = last["n_dead"] / config.d_sae
    if dead > MANY_DEAD:
        key = "many_dead_penalty" if penalty else "many_dead_k"
        values = {"share": f"{dead:.0%}", "field": penalty or "d_sae"}
        given.append(Advice(f"train.advice_{key}", values))
    if penalty and last["l0"] < SPARSE:
        given.append(Advice("train.advice_l0_low", {"field": penalty}))
    elif penalty and last["l0"] > DENSE * config.d_sae and not _falls(rows):
        values = {"l0": f"{last['l0']:,.0f}", "field": penalty}
        given.append(Advice("train.advice_l0_high", values))
    return given


def _of_steered(config: TrainConfig, last: StepMetrics) -> list[Advice]:
    dead = last["n_dead"] / config.d_sae
    if dead <= MANY_DEAD:
        return []
    return [Advice("train.advice_many_dead_steered", {"share": f"{dead:.0%}"})]


def _falls(rows: Sequence[StepMetrics]) -> bool:
    before = rows[len(rows) * 2 // 3]
    return rows[-1]["l0"] < FALLING * before["l0"]
