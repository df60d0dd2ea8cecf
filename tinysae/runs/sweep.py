"""Sweeps: one training for every point of a grid of settings, as one job.

A sweep is a folder under `<home>/sweeps`. Beside what every job has there is

    sweep.json     its axes, what it began from, and its points by their runs' ids

Every point is an ordinary run under `<home>/runs`, which opens, stops and goes on like
any other; a small file of that name in it says whose point it is. The sweep's own
process trains the points that read the same activations side by side
(`streams`, `worker.sweep`).
"""

import shutil
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tinysae.config import TrainConfig, settings
from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.jobs import launch
from tinysae.jobs.files import read_json, shown_path, staged_folder, write_json
from tinysae.jobs.home import home, home_errors
from tinysae.jobs.job import JOB_ID, Job, job_ids, new_job_id
from tinysae.jobs.listed import Listed, listed
from tinysae.jobs.status import JobStatus, write_status
from tinysae.runs.axes import MAX_POINTS, Axes, points_of, values_of, varied
from tinysae.runs.store import SWEEP_NAME, Run, create_run, open_run, runs_dir
from tinysae.setting import NAME_LIMIT

COMMAND = "sweep"
FORMAT = 1
# What decides which activations are read, in which order and in what form, but for the
# hook: one forward serves all. The seed is among it: it shuffles. So is the norm,
# measured on the stream's first batches.
_STREAM = (
    *("model_name", "dataset_path", "is_dataset_tokenized"),
    *("dataset_column", "dataset_name", "dataset_split", "streaming"),
    *("context_size", "exclude_special_tokens", "store_batch_size_prompts"),
    *("train_batch_size_tokens", "n_batches_in_buffer", "seed"),
    *("normalize_activations", "n_batches_for_norm_estimate"),
    *("dtype", "device", "precision"),
)


@dataclass(frozen=True)
class Sweep(Job):
    """A sweep's folder.

    Attributes:
        base: what its points have in common.
        axes: the settings in which they differ, and their values.
        point_ids: its points' runs, as `points_of` goes through them.
    """

    base: TrainConfig
    axes: Axes
    point_ids: Sequence[str]

    @property
    def title(self) -> str:
        return self.base.name or f"{self.base.title}: {', '.join(varied(self.axes))}"

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for run in self.points() for key in run.keys))

    def points(self) -> Listed[Run]:
        """Those of its runs that are still there."""
        return listed(self.point_ids, open_run, lambda each: runs_dir() / each)


def stream_of(config: TrainConfig, own: str) -> Hashable:
    """What two points have to share to be read for by the same forwards of the model;
    `own` is what no other point has.

    wandb knows one run of a process at a time: what goes there is trained alone.
    """
    alone = own if config.log_to_wandb else ""
    return (alone, *(getattr(config, name) for name in _STREAM))


def streams(points: Sequence[TrainConfig]) -> list[list[TrainConfig]]:
    """The points of a sweep, those together that are read for at once."""
    alike: defaultdict[Hashable, list[TrainConfig]] = defaultdict(list)
    for n, point in enumerate(points):
        alike[stream_of(point, str(n))].append(point)
    return list(alike.values())


def sweeps_dir() -> Path:
    return home() / "sweeps"


def create_sweep(base: TrainConfig, axes: Axes) -> Sweep:
    """Makes the folders of a sweep and of its points, which have not started; all of
    them, or none.

    Raises:
        InputError: from `points_of`.
        SettingError: a point's settings do not go together.
        MissingError: the home folder cannot be written.
    """
    points = points_of(base, axes)
    # Older than its points: they wait behind it, not it behind them (`jobs.turns`).
    sweep_id = new_job_id()
    path = sweeps_dir() / sweep_id
    runs: list[Run] = []
    try:
        with home_errors(), staged_folder(path) as stage:
            runs += (create_run(point, sweep=sweep_id) for point in points)
            data = {
                "format": FORMAT,
                "base": base.to_json(),
                "axes": {name: list(values) for name, values in axes.items()},
                "points": [run.id for run in runs],
            }
            write_json(stage / SWEEP_NAME, data)
            write_status(stage, JobStatus("stopped"))
    except BaseException:
        for run in runs:
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    return open_sweep(sweep_id)


def start_sweep(base: TrainConfig, axes: Axes) -> Sweep:
    """Creates a sweep and starts its process, which waits for its turn.

    Raises:
        TinysaeError: as `create_sweep` and `launch` do.
    """
    sweep = create_sweep(base, axes)
    launch.launch(sweep, COMMAND)
    return sweep


def open_sweep(sweep_id: str) -> Sweep:
    """The sweep of that id.

    Raises:
        InputError: not an id at all.
        MissingError: no such sweep.
        DamagedError: its file cannot be read.
    """
    path = sweeps_dir() / sweep_id
    if not JOB_ID.fullmatch(sweep_id):
        raise InputError("sweep_unknown", sweep=sweep_id[:80])
    if path.is_symlink() or not path.is_dir():
        raise MissingError("sweep_unknown", sweep=sweep_id)
    try:
        data = read_json(path / SWEEP_NAME)
        if data.get("format") != FORMAT:
            raise ValueError("format")
        base = TrainConfig.from_json(data["base"])
        named = dict.fromkeys(data["points"])
        point_ids = [each for each in named if JOB_ID.fullmatch(each)]
        axes = _axes(data["axes"])
        if not axes.keys() <= settings().keys():
            raise ValueError("axes")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DamagedError("sweep_damaged", sweep=sweep_id) from problem
    return Sweep(sweep_id, path, base, axes, point_ids[:MAX_POINTS])


def list_sweeps() -> Listed[Sweep]:
    """All readable sweeps, newest first."""
    folder = sweeps_dir()
    return listed(job_ids(folder), open_sweep, lambda sweep_id: folder / sweep_id)


def sweep_of(run: Run) -> str | None:
    """The id of the sweep that `run` is a point of; None of one that is of none."""
    sweep_id = (run.read_json(SWEEP_NAME) or {}).get("sweep")
    is_id = isinstance(sweep_id, str) and JOB_ID.fullmatch(sweep_id)
    return sweep_id if is_id else None


def read_plan(path: Path) -> tuple[TrainConfig, Axes]:
    """What a file of a person's asks for: a JSON object with `base`, settings of a run
    (those that are not named have their defaults), and `axes`: of each setting a list
    of values, or their text (`values_of`).

    Raises:
        InputError: it cannot be read, or says something else.
        SettingError: a setting of the base is out of range.
    """
    try:
        data = read_json(path)
        base = data.get("base", {})
        if not isinstance(base, dict):
            raise TypeError("base")
        given, axes = dict(cast("dict[str, Any]", base)), _axes(data["axes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise InputError("sweep_file", path=shown_path(path)) from problem
    given.pop("format", None)
    if strange := sorted(given.keys() - settings().keys()):
        raise InputError("sweep_unknown_setting", field=strange[0][:NAME_LIMIT])
    return TrainConfig(**given), axes


def _axes(data: Mapping[str, Any]) -> Axes:
    """Axes as a file has them."""

    def read(name: str, values: Any) -> list[Any]:
        return values_of(name, values) if isinstance(values, str) else list(values)

    return {name: read(name, values) for name, values in data.items()}
