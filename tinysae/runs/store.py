"""Runs: trainings, each a job with settings in a folder under `<home>/runs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tinysae.config import MADE_WITH, TrainConfig
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.jobs import launch
from tinysae.jobs.files import (
    clear_hidden,
    open_private,
    read_json,
    staged_folder,
    write_json,
)
from tinysae.jobs.home import home_errors
from tinysae.jobs.job import JOB_ID, Job, job_ids, new_job_id
from tinysae.jobs.listed import Listed, listed
from tinysae.jobs.lock import LOCK_NAME
from tinysae.jobs.status import JobStatus, keep_reserve, write_status
from tinysae.jobs.turns import turns_dir

CONFIG_NAME = "config.json"
EVAL_NAME, ESTIMATE_NAME = "eval.json", "estimate.json"
# That somebody asked for an index of this moment (`runs.live`).
REQUEST_NAME = "explore.request"
# Of a run that is a point of a sweep: of which (`runs.sweep`).
SWEEP_NAME = "sweep.json"


def runs_dir() -> Path:
    return turns_dir()


@dataclass(frozen=True)
class Run(Job):
    """A run's folder and what is in it."""

    config: TrainConfig

    @property
    def title(self) -> str:
        return self.config.title

    @property
    def model_name(self) -> str:
        """What its SAE reads (`model.sources.load_model`)."""
        return self.config.model_name

    @property
    def keys(self) -> tuple[str, ...]:
        from tinysae.data.texts.hub_dataset import is_of_hub

        hub = launch.HUB_KEYS if is_of_hub(self.config.text) else ()
        wandb = launch.WANDB_KEYS if self.config.log_to_wandb else ()
        return (*hub, *wandb)

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

    def evaluation(self) -> dict[str, float] | None:
        """The held-out figures of `eval.json`; None when there are none (yet)."""
        return self.read_numbers(EVAL_NAME)

    def estimate(self) -> dict[str, Any] | None:
        """What was expected of it before it was started; None when nothing was."""
        return self.read_json(ESTIMATE_NAME)

    def made_with(self) -> dict[str, Any]:
        """What its numbers depend on besides its settings; empty until it starts."""
        made_with = (self.read_json(CONFIG_NAME) or {}).get(MADE_WITH)
        return cast("dict[str, Any]", made_with) if isinstance(made_with, dict) else {}

    def clear_unfinished(self) -> None:
        super().clear_unfinished()
        for folder in (self.checkpoints_dir, self.live_dir):
            clear_hidden(folder)
        # Nobody waits any more for what an earlier worker did not answer.
        (self.path / REQUEST_NAME).unlink(missing_ok=True)


def create_run(
    config: TrainConfig,
    estimate: Mapping[str, Any] | None = None,
    sweep: str | None = None,
) -> Run:
    """Makes the folder of a run that has not started.

    Args:
        config: its settings.
        estimate: what is expected of it (`tinysae.sae.estimate.Estimate`).
        sweep: the id of the sweep whose point it is; it waits for that to start it.

    Raises:
        MissingError: when the home folder cannot be written.
    """
    run_id = new_job_id()
    path = runs_dir() / run_id
    with home_errors(), staged_folder(path) as stage:
        write_json(stage / CONFIG_NAME, config.to_json())
        write_status(stage, JobStatus("stopped" if sweep else "queued"))
        if sweep:
            write_json(stage / SWEEP_NAME, {"sweep": sweep})
        if estimate is not None:
            write_json(stage / ESTIMATE_NAME, dict(estimate))
        open_private(stage / LOCK_NAME, "ab").close()
        keep_reserve(stage)
    return Run(run_id, path, config)


def start_run(config: TrainConfig, estimate: Mapping[str, Any] | None = None) -> Run:
    """Creates a run and starts its worker, which waits for its turn.

    Raises:
        MissingError: the home folder cannot be written.
    """
    run = create_run(config, estimate)
    launch.launch(run, "train")
    return run


def write_made_with(run: Run, made_with: Mapping[str, Any]) -> None:
    """Adds to the run's `config.json` what it is made with (`worker.provenance`).

    Raises:
        OSError: the file cannot be written.
    """
    data = {**run.config.to_json(), MADE_WITH: dict(made_with)}
    write_json(run.path / CONFIG_NAME, data)


def open_run(run_id: str) -> Run:
    """The run of that id.

    Raises:
        InputError: not an id at all (a path, dots, capital letters, ...).
        MissingError: no such run.
        DamagedError: its config.json cannot be read.
    """
    if not JOB_ID.fullmatch(run_id):
        raise InputError("run_id", run=run_id[:80])
    path = runs_dir() / run_id
    # A link could lead anywhere; a run's folder is never one.
    if path.is_symlink() or not path.is_dir():
        raise MissingError("unknown_run", run=run_id)
    return run_in(path)


def run_in(path: Path) -> Run:
    """The run whose folder is `path`.

    Raises:
        DamagedError: its config.json cannot be read.
    """
    try:
        data = read_json(path / CONFIG_NAME)
    except (OSError, ValueError) as problem:
        raise DamagedError("config_not_json") from problem
    return Run(path.name, path, TrainConfig.from_json(data))


def list_runs() -> Listed[Run]:
    """All readable runs, newest first; damaged folders are left out, not removed."""
    return listed(job_ids(runs_dir()), open_run, lambda run_id: runs_dir() / run_id)
