"""The curves of a run: one JSON object a line, only appended to.

`metrics.jsonl` has a row for every logged step (`StepMetrics`), `evals.jsonl` one for
every look at held-out text (`EvalMetrics`).
"""

import errno
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Generic, NamedTuple, NotRequired, Self, TypedDict, TypeVar, cast

from tinysae.checked_numbers import is_number, whole
from tinysae.jobs.files import open_private


class StepMetrics(TypedDict):
    """What is logged of a training step.

    mse: sum over d_in of the squared error, mean over tokens, in normalised units.
    l1: standard and gated: the sparsity term with its coefficient; the others, which
        have none: the sum of a token's activations times their decoders' norms, mean
        over tokens.
    l0: mean count of active features a token.
    explained_variance: 1 - E||x - x_hat||^2 / Var(x), on the batch.
    n_dead: features that have not fired for `dead_feature_window` steps.
    coefficient: of the sparsity term, warm-up included; standard, gated and jumprelu.
    seconds: of training so far, interruptions not counted.
    step_seconds: of a step alone, without the making of its batch; the median since
        the row before.
    """

    step: int
    n_tokens: int
    mse: float
    l1: float
    loss: float
    l0: float
    explained_variance: float
    n_dead: int
    lr: float
    coefficient: NotRequired[float]
    seconds: NotRequired[float]
    step_seconds: NotRequired[float]


# What two runs of the same settings do not share.
TIMES = ("seconds", "step_seconds")


class EvalMetrics(TypedDict):
    """A look at held-out text while training goes on (`tinysae.sae.evaluate`).

    density: how many features fire how often, as counts: first those that fired on no
        token of the window, then for log10 of the rate in `DENSITY_EDGES`' bins.
    """

    step: int
    n_tokens: int
    ce_loss_score: float
    explained_variance: float
    l0: float
    density: list[int]


# log10 of the share of tokens on which a feature fires, in quarters of a decade.
DENSITY_EDGES = [-6 + quarter / 4 for quarter in range(25)]

Row = TypeVar("Row", StepMetrics, EvalMetrics)


class MetricsLog(Generic[Row]):
    """Appends rows; a row is with the system, whole, as soon as `append` returns.

    A log that was cut short goes on where it was: a torn last line is taken off, and
    rows of steps that are there already are not written again. So a run that resumes
    from a checkpoint loses no row and repeats none.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered: one write a row, so that a reader sees it at once and a killed
        # worker loses none.
        self._file = open_private(path, "ab", buffering=0)
        self._last_step = -1
        data = path.read_bytes()
        self._file.truncate(data.rfind(b"\n") + 1)
        for line in reversed(data.splitlines()):
            try:
                self._last_step = int(json.loads(line)["step"])
                break
            except (ValueError, KeyError, TypeError):
                continue

    @property
    def last_step(self) -> int:
        """The step of the last row; -1 when there is none."""
        return self._last_step

    def append(self, row: Row) -> None:
        if row["step"] > self._last_step:
            line = json.dumps(row).encode() + b"\n"
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._last_step = row["step"]

    def sync(self) -> None:
        """Makes what was appended survive a power cut."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class MetricsPart(NamedTuple, Generic[Row]):
    rows: list[Row]
    offset: int
    """Where to go on reading, in bytes."""


def read_metrics(path: Path, offset: int = 0) -> MetricsPart[StepMetrics]:
    """The rows of `metrics.jsonl` after `offset`; a damaged line is passed over.

    A last line without its newline is still being written: it is left for next time.
    """
    rows, offset = _read(path, offset, StepMetrics.__required_keys__)
    return MetricsPart(cast("list[StepMetrics]", rows), offset)


def read_evals(path: Path, offset: int = 0) -> MetricsPart[EvalMetrics]:
    """The rows of `evals.jsonl` after `offset`, read as `read_metrics` reads."""
    rows, offset = _read(path, offset, EvalMetrics.__required_keys__)
    return MetricsPart(cast("list[EvalMetrics]", rows), offset)


def _read(path: Path, offset: int, keys: frozenset[str]) -> tuple[list[object], int]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    rows: list[object] = []
    for line in whole.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and keys <= row.keys():
            row = cast("dict[str, object]", row)
            if all(_fits(name, value) for name, value in row.items()):
                rows.append(row)
    return rows, offset + len(whole)


def _fits(name: str, value: object) -> bool:
    """Whether a curve can show it; where it is NaN the curve has a gap."""
    if name == "density":
        counts = cast("list[object]", value) if isinstance(value, list) else [None]
        return all(whole(count) is not None for count in counts)
    return isinstance(value, float) or is_number(value)
