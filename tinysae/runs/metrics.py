"""The curves of a run: one JSON object a line, only appended to.

`metrics.jsonl` has a row for every logged step (`StepMetrics`), `evals.jsonl` one for
every look at held-out text (`EvalMetrics`).
"""

import errno
import json
import os
from pathlib import Path
from typing import Generic, NamedTuple, Self, TypeVar, cast

from tinysae.checked_numbers import is_number, whole
from tinysae.jobs.files import open_private, open_regular, parsed_json
from tinysae.sae.rows import EvalMetrics, StepMetrics

# What two runs of the same settings do not share.
TIMES = ("seconds", "step_seconds")
# What a curve is drawn against: there it has no gap.
AXES = ("step", "n_tokens")
# Read at a time: a curve of a million rows, and no more memory than that.
READ_BYTES = 1 << 28
# No row of a run is longer.
LINE_BYTES = 1 << 16

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
                step = whole(parsed_json(line)["step"])
            except (ValueError, KeyError, TypeError):
                continue
            if step is not None:
                self._last_step = step
                break

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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
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


def sampled_metrics(path: Path, n: int) -> list[StepMetrics]:
    """About `n` rows of `metrics.jsonl`, spread evenly, the first among them: for a
    small picture, without reading all of it.
    """
    found: dict[int, StepMetrics] = {}
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            for at in range(n):
                file.seek(at * size // n)
                if at:
                    # Into the middle of a line, most likely: the next one is whole.
                    file.readline(LINE_BYTES)
                for row in _rows(
                    file.readline(LINE_BYTES), StepMetrics.__required_keys__
                ):
                    step = cast("StepMetrics", row)
                    found[step["step"]] = step
    except OSError:
        return []
    return [found[step] for step in sorted(found)]


def read_evals(path: Path, offset: int = 0) -> MetricsPart[EvalMetrics]:
    """The rows of `evals.jsonl` after `offset`, read as `read_metrics` reads."""
    rows, offset = _read(path, offset, EvalMetrics.__required_keys__)
    return MetricsPart(cast("list[EvalMetrics]", rows), offset)


def _read(path: Path, offset: int, keys: frozenset[str]) -> tuple[list[object], int]:
    try:
        with open_regular(path) as file:
            left = os.fstat(file.fileno()).st_size - offset
            file.seek(offset)
            data = file.read(max(0, min(left, READ_BYTES)))
    except OSError:
        return [], offset
    end = data.rfind(b"\n") + 1
    if not end and len(data) == READ_BYTES:
        # No row is as long as that: go on after it.
        end = len(data)
    lines = data[:end]
    return _rows(lines, keys), offset + len(lines)


def _rows(lines: bytes, keys: frozenset[str]) -> list[object]:
    """The rows in these lines that a curve can show."""
    rows: list[object] = []
    for line in lines.splitlines():
        try:
            row = parsed_json(line)
        except ValueError:
            continue
        if isinstance(row, dict) and keys <= row.keys():
            row = cast("dict[str, object]", row)
            if all(_fits(name, value) for name, value in row.items()):
                rows.append(row)
    return rows


def _fits(name: str, value: object) -> bool:
    """Whether a curve can show it; where it is NaN the curve has a gap."""
    if name == "density":
        counts = cast("list[object]", value) if isinstance(value, list) else [None]
        return all(whole(count) is not None for count in counts)
    if name in AXES:
        return whole(value) is not None
    return isinstance(value, float) or is_number(value)
