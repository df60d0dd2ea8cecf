"""What the doctor looks at: what is in a run's folder, and its typical values.

A folder may hold any numbers: what cannot be computed is NaN here, which is neither
above nor below any bound, so that a rule is silent about it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any, Literal, TypeVar, cast

from tinysae.checked_numbers import number
from tinysae.config import TrainConfig
from tinysae.runs.metrics import read_evals, read_metrics
from tinysae.runs.store import Run
from tinysae.sae.rows import DENSITY_EDGES, TEXT, EvalMetrics, StepMetrics
from tinysae.sae.sparsity_control import coefficient_setting, is_steered

NAN = math.nan
# Of the rows, what counts as their end: a single batch's value jumps.
END_SHARE = 0.1
# Before this share of a run nothing is judged: every start looks bad.
TOO_EARLY = 0.3
# Looks at held-out text from which their curve has a shape, and not only the batches'.
LEAST_LOOKS = 8

# States of a worker that has taken the last step.
AFTER_TRAINING = ("evaluating", "indexing", "labelling")

WARM_UP: Mapping[str, str] = {
    "l1_coefficient": "l1_warm_up_steps",
    "l0_coefficient": "l0_warm_up_steps",
}

T = TypeVar("T")
Curve = Literal["mse", "l0", "explained_variance", "n_dead", "lr", "threshold"]


@dataclass(frozen=True)
class Case:
    """A run as it is now.

    Attributes:
        config: its settings.
        rows: its curves so far (`metrics.jsonl`).
        looks: its looks at held-out text so far (`evals.jsonl`).
        figures: what `eval.json` says; empty before it is there.
        made_with: what its numbers depend on besides its settings.
        error: the catalogue's sentence of why it failed, if it did.
        is_over: whether no more rows will come.
    """

    config: TrainConfig
    rows: Sequence[StepMetrics] = ()
    looks: Sequence[EvalMetrics] = ()
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    made_with: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: str | None = None
    is_over: bool = True

    @property
    def penalty(self) -> str | None:
        """The setting that makes its features few; None where k does."""
        return coefficient_setting(self.config)

    def penalised(self, times: float) -> dict[str, float]:
        """Settings with which what is active is penalised `times` as much: the
        coefficient; of a run that steers it, an L0 that is that much smaller."""
        name = self.penalty
        assert name is not None, "not of an architecture that keeps k"
        if is_steered(self.config):
            wanted = self.config.wanted_l0 / times
            return {"wanted_l0": _short(min(wanted, self.config.d_sae))}
        # Of nothing there is no multiple.
        return {name: _short(getattr(self.config, name) * times) or 1.0}

    @cached_property
    def is_judged(self) -> bool:
        """Whether it says anything yet: evaluated, failed, or with curves so long."""
        is_told = bool(self.figures) or self.error is not None
        return is_told or self.n_steps >= TOO_EARLY * self.total

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.config.total_training_steps

    @cached_property
    def n_steps(self) -> int:
        """Steps so far."""
        return self.rows[-1]["step"] + 1 if self.rows else 0

    @property
    def n_tokens(self) -> int:
        """Tokens it was trained on so far."""
        return self.n_steps * self.config.train_batch_size_tokens

    def figure(self, name: str) -> float:
        """A held-out figure; NaN where there is none."""
        return known(self.figures.get(name))

    def values(self, name: Curve) -> list[float]:
        """A curve's values, a row each; NaN where a row has none."""
        return [known(row.get(name)) for row in self.rows]

    def at_end(self, name: Curve) -> float:
        """What a curve has come to: the median of its end."""
        return middle(end_of(self.values(name)))

    @property
    def l0(self) -> float:
        """Active features a token: held out, if that is known; else in its batches."""
        held_out = self.figure("l0")
        return self.at_end("l0") if math.isnan(held_out) else held_out

    @property
    def dead_share(self) -> float:
        """Of its features: held out, if that is known; else in its batches."""
        held_out = self.figure("dead_share")
        if math.isnan(held_out):
            return ratio(self.at_end("n_dead"), self.config.d_sae)
        return held_out

    @property
    def dense_share(self) -> float:
        """Of its features, those that fire on more than a tenth of the tokens."""
        held_out = self.figure("dense_share")
        if math.isnan(held_out) and self.looks:
            counts = self.looks[-1]["density"]
            # The first stands for those that never fired.
            first = 1 + DENSITY_EDGES.index(-1.0)
            return ratio(float(sum(counts[first:])), float(sum(counts)))
        return held_out

    @cached_property
    def travel(self) -> float:
        """How far a weight can have come, in normalised units: the sum of the learning
        rates, as Adam moves none by more than that a step (Kingma and Ba 2015, 2.1)."""
        rates = [rate for rate in self.values("lr") if not math.isnan(rate)]
        return sum(rates) / len(rates) * self.n_steps if rates else NAN

    @cached_property
    def learning(self) -> list[tuple[int, float]]:
        """(tokens, explained variance) at full learning rate: of held-out text if it
        was looked at often enough, else of the batches."""
        decays_at = self.total - self.config.lr_decay_steps
        looked = [row for row in self.looks if row["step"] <= decays_at]
        found = looked if len(looked) >= LEAST_LOOKS else self.rows
        return [
            (row["n_tokens"], known(row["explained_variance"]))
            for row in found
            if row["step"] <= decays_at
        ]


def case_of(
    run: Run,
    rows: Sequence[StepMetrics] | None = None,
    looks: Sequence[EvalMetrics] | None = None,
) -> Case:
    """The run as its folder has it; what is read already need not be read again."""
    status = run.status
    return Case(
        run.config,
        read_metrics(run.metrics_path).rows if rows is None else rows,
        read_evals(run.evals_path).rows if looks is None else looks,
        run.evaluation() or {},
        run.made_with(),
        status.error,
        not status.is_working or status.state in AFTER_TRAINING,
    )


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def known(value: object) -> float:
    """A number as a float; NaN for anything else."""
    found = number(value)
    return NAN if found is None else found


def ratio(part: float, whole: float) -> float:
    """NaN where there is no whole."""
    return part / whole if whole > 0 else NAN


def middle(values: Sequence[float]) -> float:
    """Their median, whatever is no number left out; NaN of none."""
    found = [value for value in values if math.isfinite(value)]
    return median(found) if found else NAN


def end_of(values: Sequence[T], share: float = END_SHARE) -> Sequence[T]:
    """The last of them, one at least."""
    return values[-max(1, round(share * len(values))) :]


def whole_text(case: Case) -> tuple[float, float]:
    """Tokens of the text that were looked at before the run, and those of them that had
    not come before; NaN where nobody looked."""
    told = case.made_with.get(TEXT)
    told = cast("dict[str, object]", told) if isinstance(told, dict) else {}
    return known(told.get("n_tokens")), known(told.get("n_distinct"))
