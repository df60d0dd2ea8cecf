"""What a run's worker says while it works: how far it is, how fast, what it took."""

import logging
import time
from collections.abc import Callable

from tinysae.jobs.files import write_json
from tinysae.jobs.launch import stop_requested
from tinysae.jobs.memory import peak_memory_bytes
from tinysae.runs.store import TOOK_NAME, Run, RunStatus, State, write_status

logger = logging.getLogger(__name__)

# A page looks twice a second; more often is only disk traffic.
STATUS_EVERY_S = 0.4


class Stopped(Exception):
    """Somebody asked to stop in the middle of an evaluation or an index."""


class Reporter:
    """Counts a state's work, says how far it is, and hears a request to stop."""

    def __init__(self, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._state = None

    def begin(
        self, state: State, total: int, done: int = 0, seconds: float = 0.0
    ) -> None:
        """A new state, of which `done` was done, in `seconds`, before this process."""
        self.end()
        self._state: State | None = state
        self._total, self.done = total, done
        self._done_before, self._seconds_before = done, seconds
        self._started = self._clock()
        logger.info("%s: %d of %d", state, done, total)
        self._write()

    def end(self, **more: int) -> None:
        """Notes how long the state took, in the run's `took.json`."""
        if self._state is None:
            return
        took = {
            **(self._run.took() or {}),
            self._state: round(self.seconds, 3),
            "peak_memory_bytes": peak_memory_bytes(),
            **more,
        }
        write_json(self._run.path / TOOK_NAME, took)
        self._state = None

    @property
    def seconds(self) -> float:
        """What the state has taken so far, interruptions not counted."""
        return self._seconds_before + self._clock() - self._started

    def reached(self, done: int) -> bool:
        """Says that `done` of the total is done; False when somebody asked to stop."""
        self.done = done
        now = self._clock()
        if now - self._written_at >= STATUS_EVERY_S or done >= self._total:
            self._write()
        return not stop_requested(self._run.path)

    def go_on(self, done: int) -> None:
        """`reached`, for work that has nothing to keep: a stop raises `Stopped`."""
        if not self.reached(done):
            raise Stopped

    def _write(self) -> None:
        assert self._state is not None
        self._written_at = self._clock()
        elapsed, done = self._written_at - self._started, self.done - self._done_before
        rate = done / elapsed if elapsed > 0 and done else None
        left = max(0, self._total - self.done)
        per_unit = (
            1 if self._state != "norm" else self._run.config.train_batch_size_tokens
        )
        status = RunStatus(
            self._state,
            done=self.done,
            total=self._total,
            tokens_per_s=rate * per_unit if rate else None,
            eta_s=left / rate if rate else None,
        )
        write_status(self._run.path, status)


class Bytes:
    """Reports bytes that come or go, of which some were there before if it goes on."""

    def __init__(self, reporter: Reporter, state: State) -> None:
        self._reporter, self._has_begun = reporter, False
        self._state: State = state

    def __call__(self, done: int, total: int) -> None:
        """Raises `Stopped` when somebody asked for it."""
        if not self._has_begun:
            self._reporter.begin(self._state, total, done)
            self._has_begun = True
        self._reporter.go_on(done)
