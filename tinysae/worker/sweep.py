"""The life of a sweep's worker: its points' trainings, then what comes of them.

Points that read the same text alike are trained side by side (`worker.party`), one
party after another; then all are measured, then all are indexed, one by one. A point
is a run: what goes wrong with it ends it alone, and it says so itself.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from tinysae.config import TrainConfig
from tinysae.errors import TinysaeError
from tinysae.jobs.status import JobStatus, State, write_status
from tinysae.jobs.work import outcome, quits_when_asked
from tinysae.runs.checkpoints import has_newest_sae, is_trained
from tinysae.runs.side_by_side import Start, side_by_side
from tinysae.runs.store import Run
from tinysae.runs.sweep import Sweep
from tinysae.sae.estimate import check_memory
from tinysae.sae.estimate_sweep import fitting
from tinysae.worker.finish import explore, measure
from tinysae.worker.load import bring_text, model_for_work
from tinysae.worker.party import Party, Progress
from tinysae.worker.points import PointReporter, Points

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

logger = logging.getLogger(__name__)


def work(points: Points) -> None:
    """Trains, measures and indexes all that are left of a sweep's points, and says how
    that went.

    Everything that goes wrong ends in a status, the points' or the sweep's, and in the
    sweep's log.
    """
    sweep = points.sweep
    with outcome(sweep):
        try:
            _Worker(points).work()
            points.stop_all()
        except Exception as problem:
            points.fail(points.held, problem)
            raise
        _say_how_it_went(sweep)


class _Worker:
    def __init__(self, points: Points) -> None:
        self._points, self._sweep = points, points.sweep
        self._progress = Progress(points)
        self._loaded: tuple[tuple[str, str], LoadedModel] | None = None

    def work(self) -> None:
        runs = list(self._points.held)
        trained = [run for run in runs if is_trained(run) and has_newest_sae(run)]
        for run in trained:
            run.say("evaluating")
        self._points.begin(trained)
        for party in side_by_side(run for run in runs if run not in trained):
            trained += self._trained(party)
        self._progress.reporter.end()
        trained.sort(key=runs.index)
        self._each(trained, "evaluating")
        self._each([run for run in trained if self._is_held(run)], "indexing")

    def _trained(self, party: Sequence[Start]) -> list[Run]:
        """Those of a party that were trained to their end."""
        party = [start for start in party if self._is_held(start.run)]
        trained: list[Run] = []
        for part in self._fitting(party):
            runs = [start.run for start in part]
            self._points.begin(runs)
            with self._points.sharing_fate(runs):
                model = self._model(runs[0])
                bring_text(runs[0].config, self._progress.reporter)
                trained += Party(self._points, model, self._progress).train(part)
        return trained

    def _fitting(self, party: Sequence[Start]) -> list[list[Start]]:
        """The party in parts that fit into memory; of a run that does not even alone,
        nothing: it says so."""
        if not party:
            return []
        runs = [start.run for start in party]
        parts: list[list[Start]] = []
        with self._points.sharing_fate(runs):
            model = self._model(runs[0])
            about = (model.n_parameters, model.plain.device.type)

            def width_of(config: TrainConfig) -> int:
                return model.hook_widths.get(config.hook_name, model.d_model)

            def check(run: Run) -> None:
                check_memory(run.config, width_of(run.config), *about)

            small = [
                start
                for start in party
                if self._points.survives(start.run, partial(check, start.run))
            ]
            left = iter(small)
            configs = [start.run.config for start in small]
            for part in fitting(configs, width_of, *about):
                parts.append([next(left) for _ in part])
        return parts

    def _model(self, run: Run) -> "LoadedModel":
        """The run's model; the last one is kept."""
        wanted = run.config.model_name, run.config.device
        if self._loaded is None or self._loaded[0] != wanted:
            if self._loaded is None:
                self._sweep.say("starting")
            self._loaded = None
            with self._loading():
                self._loaded = wanted, model_for_work(*wanted)
        return self._loaded[1]

    def _loading(self) -> AbstractContextManager[None]:
        """As `worker.load` waits for libraries: a stop ends the process, if no SAE is
        owed to anyone."""
        owes_sae = not all(map(has_newest_sae, self._points.held))
        if owes_sae:
            return nullcontext()
        return quits_when_asked(self._sweep, self._points.stop_all)

    def _each(self, runs: Sequence[Run], state: State) -> None:
        """Measures or indexes those of `runs` that are left, one after another."""
        for n, run in enumerate(runs):
            status = JobStatus(state, done=n, total=len(runs))
            write_status(self._sweep.path, status)
            if not self._is_held(run):
                continue
            if self._points.is_asked_to_stop(run):
                self._points.let_go(run, "stopped")
            elif state == "evaluating":
                if self._points.survives(run, lambda run=run: self._measure(run)):
                    run.say("indexing")
            elif self._points.survives(run, lambda run=run: self._explore(run)):
                self._points.let_go(run)

    def _measure(self, run: Run) -> None:
        reporter = PointReporter(run, self._points)
        measure(run, self._model(run), reporter)
        reporter.end()

    def _explore(self, run: Run) -> None:
        explore(run, self._model(run), "done", PointReporter(run, self._points))

    def _is_held(self, run: Run) -> bool:
        return run in self._points.held


def _say_how_it_went(sweep: Sweep) -> None:
    """Stopped, if a point was; failed, if all points did, for the first one's reason;
    else done."""
    statuses = [run.status for run in sweep.points()]
    states = {status.state for status in statuses}
    if sweep.stop_requested or "stopped" in states:
        sweep.say("stopped")
    elif states == {"failed"}:
        first = statuses[0]
        key = (first.error or "").removeprefix("error.")
        sweep.say("failed", TinysaeError(key, **(first.error_values or {})))
    else:
        sweep.say("done")
