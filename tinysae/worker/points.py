"""The points of a sweep in the hands of its process: locks, stops, last words."""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import IO, Self

from tinysae.errors import BusyError
from tinysae.jobs.job import Job
from tinysae.jobs.reporter import Reporter
from tinysae.jobs.status import State
from tinysae.jobs.turns import wait_for_turn
from tinysae.jobs.work import outcome
from tinysae.runs.store import Run
from tinysae.runs.sweep import Sweep


class Points:
    """Those points of a sweep that have something left to do, each under its own lock
    until it is over: nobody else starts it, and everyone sees that it works.

    A context: what is still held at its end is let go.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.held: list[Run] = []
        """In the sweep's order."""
        self._waiting: set[str] = set()
        self._locks: dict[str, ExitStack] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in list(self.held):
            self.let_go(run)

    def wait_for_turn(self, job: Job) -> IO[bytes] | None:
        """Takes the points and waits until their sweep, which is `job`, may work;
        None, when somebody asked it to stop meanwhile.

        Raises:
            OSError: a folder cannot be written.
        """
        self._take()

        def sleep(seconds: float) -> None:
            self.hear_stops()
            time.sleep(seconds)

        turn = wait_for_turn(job, sleep)
        if turn is None:
            self.stop_all()
        return turn

    def _take(self) -> None:
        for run in self.sweep.points():
            status = run.status
            # One that works is trained by itself.
            if status.state == "done" or status.is_working:
                continue
            lock = ExitStack()
            try:
                lock.enter_context(run.locked())
            except BusyError:
                continue
            self._locks[run.id] = lock
            self.held.append(run)
            self._waiting.add(run.id)
            run.enqueue()

    def begin(self, runs: Iterable[Run]) -> None:
        """They wait no more: who works on them hears their stops."""
        self._waiting -= {run.id for run in runs}

    def hear_stops(self) -> None:
        """Lets those go that were asked to stop while they waited."""
        for run in list(self.held):
            if run.id in self._waiting and run.stop_requested:
                self.let_go(run, "stopped")

    def is_asked_to_stop(self, run: Run) -> bool:
        """The run itself, or all of the sweep."""
        return self.sweep.stop_requested or run.stop_requested

    def stop_all(self) -> None:
        """The last word of all that are left."""
        for run in list(self.held):
            self.let_go(run, "stopped")

    def let_go(self, run: Run, state: State | None = None) -> None:
        """Says the run's last word, if it has not been said, and unlocks it."""
        if state is not None:
            run.say(state)
        self.held.remove(run)
        self._waiting.discard(run.id)
        self._locks.pop(run.id).close()

    def survives(self, run: Run, work: Callable[[], object]) -> bool:
        """Whether `work` came to its end; if not, the run has said why and is let
        go."""
        is_done = False
        with outcome(run):
            work()
            is_done = True
        if not is_done:
            self.let_go(run)
        return is_done

    @contextmanager
    def sharing_fate(self, runs: Iterable[Run]) -> Generator[None]:
        """What goes wrong inside is what went wrong with each of `runs` that is still
        at work; the others go on."""
        try:
            yield
        except Exception as problem:
            self.fail(runs, problem)

    def fail(self, runs: Iterable[Run], problem: Exception) -> None:
        """That `problem` ended those of `runs` that are left."""

        def again() -> None:
            raise problem

        for run in list(runs):
            if run.id in self._locks:
                self.survives(run, again)


class PointReporter(Reporter):
    """A point's reporter: it hears a stop of the whole sweep, too.

    As many of them write as there are points: each the more seldom.
    """

    def __init__(self, run: Run, points: Points) -> None:
        super().__init__(run, pace=len(points.held))
        self._run, self._points = run, points

    def reached(self, done: int) -> bool:
        """As `Reporter.reached`."""
        super().reached(done)
        return not self._points.is_asked_to_stop(self._run)
