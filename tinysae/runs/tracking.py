"""A run's curves at Weights & Biases, beside our own: under SAELens's names.

With a key on the machine they are sent; without one wandb writes them into
`<run>/wandb/`, from where `wandb sync` sends them. A thread of its own does either, fed
through a queue that drops what it cannot hold: a wandb that is slow, that fails or that
is not installed costs the run nothing but a line in its log.
"""

import atexit
import logging
import netrc
import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from tinysae.config import settings
from tinysae.jobs.files import write_json
from tinysae.runs.store import Run
from tinysae.sae.rows import EvalMetrics
from tinysae.sae.tracker import Tracker, Trackers, warn_of_end

logger = logging.getLogger(__name__)

# What became of it: `mode`, `url` and `n_lost` for the page, `last_step` for a resume.
WANDB_NAME = "wandb.json"
WANDB_DIR = "wandb"
# Points that may wait; at one every ten steps, minutes of training.
MAX_WAITING = 2000
# How long the end of a training waits for what is still to be sent.
PATIENCE_S = 15.0
Mode = Literal["online", "offline"]


class _Point(NamedTuple):
    values: Mapping[str, Any]
    step: int


class WandbTracker:
    """Logs to wandb from a thread of its own; whatever that does, the run goes on.

    Args:
        run: whose curves; its id is the wandb run's too, so that a resumed run goes on
            with the same one.
        config: the settings that wandb shows.
    """

    def __init__(self, run: Run, config: Mapping[str, Any]) -> None:
        self._run, self._config = run, config
        self._every = run.config.wandb_log_frequency
        self._queue: queue.Queue[_Point | None] = queue.Queue(MAX_WAITING)
        self._n_lost = 0
        # A killed run goes on from its last checkpoint: steps that wandb has already
        # would be there twice, since an offline file cannot be looked into.
        self._last_step = self._logged_before = _last_step(run)
        # A daemon: it must not keep a process alive that is done.
        self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
        self._thread.start()

    def wants(self, step: int) -> bool:
        # As SAELens counts: after steps 10, 20, ...
        return (step + 1) % self._every == 0

    def log(self, values: Mapping[str, Any], step: int) -> None:
        try:
            self._queue.put_nowait(_Point(values, step))
        except queue.Full:
            self._lose()

    def close(self) -> None:
        # In place of the oldest point, if there is no room.
        while self._thread.is_alive():
            try:
                self._queue.put_nowait(None)
                break
            except queue.Full:
                with suppress(queue.Empty):
                    self._queue.get_nowait()
                self._lose()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            logger.warning("wandb did not finish in %d s; it is left", PATIENCE_S)
            # wandb waits for its service when the process ends; ours comes first.
            atexit.register(os._exit, 0)

    def _lose(self) -> None:
        if not self._n_lost:
            logger.warning("wandb is too slow: points are left out there")
        self._n_lost += 1

    def _work(self) -> None:
        try:
            self._track()
        except BaseException as problem:
            warn_of_end("wandb", problem)
            with suppress(OSError):
                self._note(mode=None, url=None)
            # Nothing waits for room any more.
            while True:
                if self._queue.get() is None:
                    return

    def _track(self) -> None:
        # Read when it is imported: no report of its own errors to anybody.
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        import wandb

        config, mode = self._run.config, wandb_mode()
        started = wandb.init(
            project=config.wandb_project,
            entity=config.wandb_entity or None,
            name=config.title,
            id=self._run.id,
            resume="allow",
            config=dict(self._config),
            dir=str(self._run.path),
            mode=mode,
            settings=wandb.Settings(
                silent=True,
                console="off",
                # Nothing of the machine, its code or its repository.
                save_code=False,
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                x_disable_stats=True,
                x_disable_meta=True,
                x_disable_machine_info=True,
            ),
        )
        url = started.url if mode == "online" else None
        self._note(mode=mode, url=url)
        while (point := self._queue.get()) is not None:
            if point.step <= self._logged_before:
                continue
            started.log(dict(point.values), step=point.step)
            if point.step > self._last_step:
                self._last_step = point.step
                self._note(mode=mode, url=url)
        started.finish()
        if self._n_lost:
            self._note(mode=mode, url=url)

    def _note(self, **what: Any) -> None:
        said = {**what, "n_lost": self._n_lost, "last_step": self._last_step}
        write_json(self._run.path / WANDB_NAME, said)


def _last_step(run: Run) -> int:
    """The last step that was given to wandb by an earlier process; -1 if none was."""
    step = (run.read_json(WANDB_NAME) or {}).get("last_step")
    return step if isinstance(step, int) else -1


TRACKERS: Mapping[str, Callable[[Run, Mapping[str, Any]], Tracker]] = {
    "log_to_wandb": WandbTracker
}
"""The setting that switches it on -> a tracker of the run, told its settings."""


def start_trackers(run: Run, config: Mapping[str, Any]) -> Trackers:
    """Those that the run's settings ask for, but for one that cannot be started."""
    made: list[Tracker] = []
    for name, make in TRACKERS.items():
        if getattr(run.config, name):
            try:
                made.append(make(run, config))
            except Exception as problem:
                warn_of_end(name, problem)
    return Trackers(made)


def tracking_settings() -> frozenset[str]:
    """What switches a tracker on, and what is read only then: it says nothing of how
    an SAE comes to be."""
    own = (
        name
        for name, each in settings().items()
        if each.only_when is not None and each.only_when[0] in TRACKERS
    )
    return frozenset({*TRACKERS, *own})


def wandb_mode() -> Mode:
    """Whether curves are sent or kept: by `WANDB_MODE`, else by there being a key."""
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun", "disabled"):
        return "offline"
    return "online" if _has_key() else "offline"


def _has_key() -> bool:
    """Whether wandb would find a key; which one is not looked at."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return host is not None and host in netrc.netrc(str(file)).hosts
    except (OSError, netrc.NetrcParseError):
        return False


class Tracked(NamedTuple):
    """What became of a run's curves at wandb, as the page tells it.

    mode: None when wandb failed. url: of an online run. n_lost: points left out.
    """

    mode: Mode | None
    url: str | None
    n_lost: int


def tracked(run: Run) -> Tracked | None:
    """None of a run that does not log to wandb, or has not begun to."""
    if (data := run.read_json(WANDB_NAME)) is None:
        return None
    mode, url, n_lost = (data.get(name) for name in ("mode", "url", "n_lost"))
    if mode not in ("online", "offline"):
        mode = None
    is_link = isinstance(url, str) and url.startswith("https://")
    return Tracked(
        mode, url if is_link else None, n_lost if isinstance(n_lost, int) else 0
    )


def eval_log(row: EvalMetrics) -> dict[str, Any]:
    """A look at held-out text, under the names of SAELens's evaluations.

    Of those, SAELens logs the CE-loss score while it trains; the other two stand for
    what it logs of the batch (`metrics/...`), here on held-out text.
    """
    return {
        "model_performance_preservation": {"ce_loss_score": row["ce_loss_score"]},
        "reconstruction_quality": {"explained_variance": row["explained_variance"]},
        "sparsity": {"l0": row["l0"]},
    }
