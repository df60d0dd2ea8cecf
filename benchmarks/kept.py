"""What a run that was disturbed has kept of what one that nobody disturbed has."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tinysae.runs.metrics import TIMES
from tinysae.runs.store import Run

FIGURES = ("ce_loss_score", "l0", "explained_variance", "mse")


@dataclass
class Findings:
    """What went wrong, over all the disturbed runs."""

    rows_lost: int = 0
    resumes_failed: int = 0
    gap: float = 0.0
    n_runs: int = 0
    n_identical: int = 0
    status_s: list[float] = field(default_factory=list)
    stop_s: list[float] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def failed(self, run: Run, why: str) -> None:
        self.resumes_failed += 1
        print(f"!! {run.id}: {why}; it is {run.status}", flush=True)
        with suppress(OSError):
            print(*run.log_path.read_text().splitlines()[-12:], sep="\n", flush=True)


class Curves(NamedTuple):
    """What a run that is done leaves behind to be compared."""

    rows: list[dict[str, Any]]
    evals: list[dict[str, Any]]
    figures: dict[str, float]

    @classmethod
    def of(cls, run: Run) -> Curves:
        rows = _rows(run.metrics_path)
        figures = run.evaluation() or {}
        return cls(
            # Time passes as it likes.
            [{k: v for k, v in row.items() if k not in TIMES} for row in rows],
            _rows(run.evals_path),
            {name: float(figures.get(name, "nan")) for name in FIGURES},
        )


def _rows(path: Path) -> list[dict[str, Any]]:
    """All lines, those that the product would pass over as a step of their own."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            rows.append({"step": -1, **json.loads(line)})
        except (ValueError, TypeError):
            rows.append({"step": -1})
    return rows


def n_lost(rows: list[dict[str, Any]], reference: list[dict[str, Any]]) -> int:
    """Rows missing, doubled, unknown or out of order."""
    steps = [row["step"] for row in rows]
    found, wanted = Counter(steps), Counter(row["step"] for row in reference)
    differing = (found - wanted) + (wanted - found)
    return differing.total() + sum(later < one for one, later in pairwise(steps))


def relative_gap(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    gaps = [0.0]
    for name, value in theirs.items():
        apart = abs(ours.get(name, float("inf")) - value)
        gaps.append(apart / max(abs(value), 1e-12) if apart else 0.0)
    # NaN is not larger than anything: a missing figure must not read as no gap.
    return max(float("inf") if gap != gap else gap for gap in gaps)


def compare(run: Run, reference: Curves, findings: Findings) -> None:
    curves = Curves.of(run)
    findings.n_runs += 1
    findings.n_identical += curves == reference
    for ours, theirs in (
        (curves.rows, reference.rows),
        (curves.evals, reference.evals),
    ):
        findings.rows_lost += n_lost(ours, theirs)
    last = curves.rows[-1] if curves.rows else {}
    findings.gap = max(
        findings.gap,
        relative_gap(curves.figures, reference.figures),
        relative_gap(last, reference.rows[-1]),
    )
