"""What a job is doing, as its files and its lock tell it.

`status.json` is what its process last said; the lock says whether there is a process.
Together they are the status: a job that says "training" while nobody holds its lock was
interrupted. A pid is never looked at: it may belong to somebody else by now.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

from tinysae.checked_numbers import MAX_WHOLE, number
from tinysae.errors import plain_values
from tinysae.jobs.files import open_private, read_json, write_json
from tinysae.jobs.home import is_disk_full
from tinysae.jobs.lock import is_locked

State = Literal[
    "new",
    "queued",
    "starting",
    "norm",
    "training",
    "evaluating",
    "indexing",
    "labelling",
    "downloading",
    "converting",
    "uploading",
    "done",
    "stopped",
    "failed",
    "interrupted",
]
WORKING: frozenset[State] = frozenset(
    {
        *("queued", "starting", "norm", "training", "evaluating", "indexing"),
        *("labelling", "downloading", "converting", "uploading"),
    }
)
# Last words.
ENDED: frozenset[State] = frozenset({"done", "stopped", "failed"})
Reason = Literal["restart", "killed"]
STATUS_NAME = "status.json"
# Space that is given back when the disk is full, so that the last words can be written.
RESERVE_NAME = "reserve"
RESERVE_BYTES = 1 << 16
# As the two kinds of jobs called these before they were one.
_OLD_RATES = ("tokens_per_s", "bytes_per_s")
_OLD_STATES: Mapping[str, State] = {"working": "downloading"}


@dataclass(frozen=True)
class JobStatus:
    """What a job is doing.

    Attributes:
        state: "new" when nobody has started it yet.
        done: what the state counts: batches in "norm", tokens in "training",
            "evaluating" and "indexing", concepts in "labelling", bytes in "downloading"
            and "uploading".
        total: of these; 0 while that is not known.
        rate: so many a second lately, in "norm" tokens; None while that is not known.
        eta_s: seconds until the state is over.
        error: why it failed: a sentence of the catalogue.
        error_values: what the sentence fills in.
        reason: why it was interrupted, as far as it can be known: "restart" of the
            machine, or else "killed": its process ended without a word.
    """

    state: State
    done: int = 0
    total: int = 0
    rate: float | None = None
    eta_s: float | None = None
    error: str | None = None
    error_values: Mapping[str, Any] | None = None
    reason: Reason | None = None

    @property
    def is_working(self) -> bool:
        """Whether a process is at it, or waits for its turn."""
        return self.state in WORKING

    @property
    def share(self) -> float:
        """How much of the state's work is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def write_status(path: Path, status: JobStatus) -> None:
    """Replaces the `status.json` of the job in `path`; only who holds its lock calls
    this.

    On a full disk the job's reserve makes room for the last word: what a job that still
    works has to say would only use it up. Nor is it worth waiting for the disk: after a
    power cut nobody works, whatever was said last.

    Raises:
        OSError: the file cannot be written, reserve or not.
    """
    data: dict[str, Any] = {"boot": _boot_id()} if _boot_id() else {}
    data |= {
        key: value
        for key, value in vars(status).items()
        if value is not None and key not in ("error_values", "reason")
    }
    if status.error_values:
        data["error_values"] = plain_values(status.error_values)
    try:
        write_json(path / STATUS_NAME, data, outlives_power_cut=not status.is_working)
    except OSError as problem:
        if status.is_working or not is_disk_full(problem):
            raise
        (path / RESERVE_NAME).unlink(missing_ok=True)
        write_json(path / STATUS_NAME, data)


def read_status(path: Path, unsaid: State = "interrupted") -> JobStatus:
    """What the job in `path` is doing, from its files and its lock.

    Args:
        unsaid: what it is if it never said anything that can be read.
    """
    # The order matters: a worker that ends between the two readings has already
    # written its last word, so look for the worker first.
    held = is_locked(path)
    try:
        data = read_json(path / STATUS_NAME)
    except (OSError, ValueError):
        return JobStatus(unsaid)
    status = _status(data)
    if status is None:
        return JobStatus(unsaid)
    if status.is_working and not held:
        boot = data.get("boot")
        reason = "restart" if boot and boot != _boot_id() else "killed"
        return replace(status, state="interrupted", eta_s=None, reason=reason)
    return status


def keep_reserve(path: Path) -> None:
    """Sets aside a little space in the job's folder, unless it is there already.

    Raises:
        OSError: the disk is full already.
    """
    reserve = path / RESERVE_NAME
    if reserve.is_file():
        return
    try:
        with open_private(reserve, "wb") as file:
            # Random: a file system that packs zeros would set nothing aside.
            file.write(secrets.token_bytes(RESERVE_BYTES))
    except OSError:
        # A part of it would pass for the whole next time.
        with suppress(OSError):
            reserve.unlink()
        raise


def _status(data: Mapping[str, Any]) -> JobStatus | None:
    state = data.get("state")
    if isinstance(state, str):
        state = _OLD_STATES.get(state, state)
    if state not in get_args(State):
        return None
    values = data.get("error_values")
    rates = [number(data.get(key)) for key in ("rate", *_OLD_RATES)]
    return JobStatus(
        cast("State", state),
        done=int(number(data.get("done"), 0, MAX_WHOLE) or 0),
        total=int(number(data.get("total"), 0, MAX_WHOLE) or 0),
        rate=next((rate for rate in rates if rate is not None), None),
        eta_s=number(data.get("eta_s")),
        error=str(data["error"]) if data.get("error") else None,
        error_values=cast("dict[str, Any]", values) if isinstance(values, dict) else {},
    )


@cache
def _boot_id() -> str | None:
    """What changes with every start of the machine; None where it cannot be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
