"""The curve of a run: `metrics.jsonl`, one JSON object a line, only appended to."""

import json
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypedDict, cast


class StepMetrics(TypedDict):
    """What is logged of a training step.

    mse: sum over d_in of the squared error, mean over tokens, in normalised units.
    l1: standard: the sparsity term with its coefficient; batchtopk, which has none: the
        sum of a token's activations, mean over tokens.
    l0: mean count of active features a token.
    explained_variance: 1 - E||x - x_hat||^2 / Var(x), on the batch.
    n_dead: features that have not fired for `dead_feature_window` steps.
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


class MetricsLog:
    """Appends rows; a row is on disk, whole, as soon as `append` returns."""

    def __init__(self, path: Path) -> None:
        # Unbuffered: one write a row, so that a reader sees it at once and a killed
        # worker loses none.
        self._file = path.open("ab", buffering=0)

    def append(self, row: StepMetrics) -> None:
        self._file.write(json.dumps(row).encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class MetricsPart(NamedTuple):
    rows: list[StepMetrics]
    offset: int
    """Where to go on reading, in bytes."""


def read_metrics(path: Path, offset: int = 0) -> MetricsPart:
    """The rows after `offset`; a torn or damaged line is passed over.

    A last line without its newline is still being written: it is left for next time.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return MetricsPart([], offset)
    whole = data[: data.rfind(b"\n") + 1]
    rows: list[StepMetrics] = []
    for line in whole.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and StepMetrics.__required_keys__ <= row.keys():
            rows.append(cast("StepMetrics", row))
    return MetricsPart(rows, offset + len(whole))
