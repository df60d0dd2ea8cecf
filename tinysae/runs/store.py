"""A run is a folder under `<home>/runs`; what it is doing is read from its files.

`status.json` says what the worker last said; the lock says whether there is a worker.
Together they give the status: a run that says "training" while nobody holds its lock
was interrupted. A pid is never looked at: it may belong to somebody else by now.
"""

import fcntl
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

from tinysae.checked_numbers import number
from tinysae.config import MADE_WITH, TrainConfig
from tinysae.errors import DamagedError, InputError, MissingError, TinysaeError
from tinysae.jobs.files import read_json, staged_folder, write_json
from tinysae.jobs.home import home, home_error, is_disk_full

State = Literal[
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
ID_TIME = "%Y%m%d-%H%M%S"
# What `new_run_id` makes and nothing else: no dots, no slashes, no leading dash.
RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
LOCK_NAME = "lock"
STOP_NAME = "stop.request"
EVAL_NAME, ESTIMATE_NAME, TOOK_NAME = "eval.json", "estimate.json", "took.json"
# Space that is given back when the disk is full, so that the last words can be written.
RESERVE_NAME = "reserve"
RESERVE_BYTES = 1 << 16
Reason = Literal["restart", "killed"]


def runs_dir() -> Path:
    return home() / "runs"


@dataclass(frozen=True)
class RunStatus:
    """What a run is doing.

    `done` and `total` count what the state counts: batches in "norm", tokens in
    "training", "evaluating" and "indexing", concepts in "labelling", bytes in
    "downloading" and "uploading". `eta_s` is for the state, in seconds.
    `error` is a sentence of the catalogue with its values, for a run that failed.
    `reason` is why a run was interrupted, as far as it can be known: "restart" of the
    machine, or else "killed": its process ended without a word.
    """

    state: State
    done: int = 0
    total: int = 0
    tokens_per_s: float | None = None
    eta_s: float | None = None
    error: str | None = None
    error_values: Mapping[str, Any] | None = None
    reason: Reason | None = None

    @property
    def is_working(self) -> bool:
        return self.state in WORKING

    @property
    def share(self) -> float:
        """How much of the state's work is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class Run:
    """A run's folder and what is in it."""

    id: str
    path: Path
    config: TrainConfig

    @property
    def status(self) -> RunStatus:
        return read_status(self.path)

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""
        with suppress(ValueError, OverflowError):
            return time.mktime(time.strptime(self.id[:15], ID_TIME))
        return self.path.stat().st_mtime

    @property
    def sae_dir(self) -> Path:
        return self.path / "sae"

    @property
    def features_dir(self) -> Path:
        return self.path / "features"

    @property
    def live_dir(self) -> Path:
        """Indexes that are made while it trains (`runs.live`)."""
        return self.path / "features-live"

    @property
    def history_dir(self) -> Path:
        """What its features were as it trained (`features.index.history`)."""
        return self.path / "history"

    @property
    def checkpoints_dir(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def evals_path(self) -> Path:
        return self.path / "evals.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"

    def evaluation(self) -> dict[str, Any] | None:
        """The held-out figures of `eval.json`; None when there are none (yet)."""
        return self._json(EVAL_NAME)

    def estimate(self) -> dict[str, Any] | None:
        """What was expected of it before it was started; None when nothing was."""
        return self._json(ESTIMATE_NAME)

    def took(self) -> dict[str, Any] | None:
        """Seconds of each state, tokens trained on and the peak memory; None until
        it has trained."""
        return self._json(TOOK_NAME)

    def made_with(self) -> dict[str, Any]:
        """What its numbers depend on besides its settings; empty until it starts."""
        made_with = (self._json("config.json") or {}).get(MADE_WITH)
        return cast("dict[str, Any]", made_with) if isinstance(made_with, dict) else {}

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            return read_json(self.path / name)
        except (OSError, ValueError):
            return None


def new_run_id() -> str:
    """An id that sorts by time and that nobody else picks."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    moment = time.strftime(ID_TIME, time.localtime(seconds))
    # The fraction of the second in 1/4096: two clicks in one second keep their order.
    return f"{moment}-{(rest << 12) // 10**9:03x}{secrets.token_hex(2)}"


def create_run(config: TrainConfig, estimate: Mapping[str, Any] | None = None) -> Run:
    """Makes the folder of a run that has not started.

    Args:
        config: its settings.
        estimate: what is expected of it (`tinysae.sae.estimate.Estimate`).

    Raises:
        MissingError: when the home folder cannot be written.
    """
    run_id = new_run_id()
    path = runs_dir() / run_id
    try:
        with staged_folder(path) as stage:
            write_json(stage / "config.json", config.to_json())
            write_json(stage / "status.json", {"state": "queued"})
            if estimate is not None:
                write_json(stage / ESTIMATE_NAME, dict(estimate))
            (stage / LOCK_NAME).touch()
            keep_reserve(stage)
    except OSError as problem:
        raise home_error(problem) from problem
    return Run(run_id, path, config)


def write_made_with(run: Run, made_with: Mapping[str, Any]) -> None:
    """Adds to the run's `config.json` what it is made with (`worker.provenance`).

    Raises:
        OSError: the file cannot be written.
    """
    data = {**run.config.to_json(), MADE_WITH: dict(made_with)}
    write_json(run.path / "config.json", data)


def keep_reserve(path: Path) -> None:
    """Sets aside a little space in the run's folder, unless it is there already.

    Raises:
        OSError: the disk is full already.
    """
    reserve = path / RESERVE_NAME
    if reserve.is_file():
        return
    try:
        # Random: a file system that packs zeros would set nothing aside.
        reserve.write_bytes(secrets.token_bytes(RESERVE_BYTES))
    except OSError:
        # A part of it would pass for the whole next time.
        reserve.unlink(missing_ok=True)
        raise


def open_run(run_id: str) -> Run:
    """The run of that id.

    Raises:
        InputError: not an id at all (a path, dots, capital letters, ...).
        MissingError: no such run.
        DamagedError: its config.json cannot be read.
    """
    if not RUN_ID.fullmatch(run_id):
        raise InputError("run_id", run=run_id[:80])
    path = runs_dir() / run_id
    # A link could lead anywhere; a run's folder is never one.
    if path.is_symlink() or not path.is_dir():
        raise MissingError("unknown_run", run=run_id)
    try:
        text = (path / "config.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise DamagedError("config_not_json") from problem
    return Run(run_id, path, TrainConfig.loads(text))


def list_runs() -> list[Run]:
    """All readable runs, newest first; damaged folders are left out, not removed."""
    try:
        names = sorted((entry.name for entry in runs_dir().iterdir()), reverse=True)
    except OSError:
        return []
    runs: list[Run] = []
    for name in names:
        with suppress(TinysaeError, OSError):
            runs.append(open_run(name))
    return runs


def write_status(path: Path, status: RunStatus) -> None:
    """Replaces the run's `status.json`; only who holds the run's lock calls this.

    On a full disk the run's reserve makes room for the last word: what a run that still
    works has to say would only use it up.

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
        data["error_values"] = {
            key: value if isinstance(value, int | float | str) else str(value)
            for key, value in status.error_values.items()
        }
    try:
        write_json(path / "status.json", data)
    except OSError as problem:
        if status.is_working or not is_disk_full(problem):
            raise
        (path / RESERVE_NAME).unlink(missing_ok=True)
        write_json(path / "status.json", data)


@cache
def _boot_id() -> str | None:
    """What changes with every start of the machine; None where it cannot be known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def read_status(path: Path) -> RunStatus:
    """What the run in `path` is doing, from its files and its lock."""
    # The order matters: a worker that ends between the two readings has already
    # written its last word, so look for the worker first.
    held = is_locked(path)
    status, boot = _written_status(path)
    if status.is_working and not held:
        reason = "restart" if boot and boot != _boot_id() else "killed"
        return replace(status, state="interrupted", eta_s=None, reason=reason)
    return status


def is_locked(path: Path) -> bool:
    """Whether a worker holds the run's lock. Holds nothing itself afterwards."""
    try:
        with (path / LOCK_NAME).open("rb") as file:
            # Shared, so that two observers never mistake each other for a worker.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _written_status(path: Path) -> tuple[RunStatus, str | None]:
    """What the worker last said, and which start of the machine it said it in."""
    try:
        data = read_json(path / "status.json")
    except (OSError, ValueError):
        return RunStatus("interrupted"), None
    state = data.get("state")
    if state not in get_args(State):
        return RunStatus("interrupted"), None
    values = data.get("error_values")
    status = RunStatus(
        cast("State", state),
        done=int(number(data.get("done"), low=0) or 0),
        total=int(number(data.get("total"), low=0) or 0),
        tokens_per_s=number(data.get("tokens_per_s")),
        eta_s=number(data.get("eta_s")),
        error=str(data["error"]) if data.get("error") else None,
        error_values=cast("dict[str, Any]", values) if isinstance(values, dict) else {},
    )
    return status, str(data["boot"]) if data.get("boot") else None
