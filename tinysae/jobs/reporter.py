"""What a job's process says while it works: how far it is, how fast, what it took."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tinysae.jobs.files import write_json
from tinysae.jobs.job import TOOK_NAME, Job
from tinysae.jobs.memory import peak_memory_bytes
from tinysae.jobs.state_words import begun
from tinysae.jobs.status import JobStatus, State, write_status
from tinysae.jobs.work import Stopped

logger = logging.getLogger(__name__)

# A page looks twice a second; more often is only disk traffic.
STATUS_EVERY_S = 0.4
# What is called lately: longer than what interrupts a training (a checkpoint, an
# index), short enough for a network that became slow.
LATELY_S = 60.0


class Reporter:
    """Counts a state's work, says how far it is, and hears a request to stop.

    Args:
        pace: so many times as seldom as one would write that works alone.
    """

    def __init__(
        self, job: Job, clock: Callable[[], float] = time.monotonic, pace: int = 1
    ) -> None:
        self._job = job
        self._clock = clock
        self._every_s = pace * STATUS_EVERY_S
        self._state: State | None = None

    def begin(
        self,
        state: State,
        total: int,
        done: int = 0,
        seconds: float = 0.0,
        rate_of_one: int = 1,
    ) -> None:
        """A new state.

        Args:
            total: how much there is to do.
            done: how much of it was done before this process,
            seconds: and in which time.
            rate_of_one: what one of them counts where it is told how fast it goes: a
                batch's tokens.
        """
        self.end()
        self._state = state
        self._total, self.done, self._rate_of_one = total, done, rate_of_one
        self._seconds_before = seconds
        self._started = self._clock()
        self._lately = deque([(self._started, done)])
        logger.info("%s", begun(state, done, total))
        self._write()

    def end(self, **more: int) -> None:
        """Notes how long the state took, in the job's `took.json`."""
        if self._state is None:
            return
        took = {
            **(self._job.took() or {}),
            self._state: round(self.seconds, 3),
            "peak_memory_bytes": peak_memory_bytes(),
            **more,
        }
        write_json(self._job.path / TOOK_NAME, took)
        self._state = None

    @property
    def seconds(self) -> float:
        """What the state has taken so far, interruptions not counted."""
        return self._seconds_before + self._clock() - self._started

    @contextmanager
    def apart(self) -> Generator[None]:
        """What is done inside counts neither for the state's time nor for its speed."""
        begun = self._clock()
        try:
            yield
        finally:
            gone = self._clock() - begun
            self._started += gone
            self._lately = deque((at + gone, done) for at, done in self._lately)

    def reached(self, done: int) -> bool:
        """Says that `done` of the total is done; False when somebody asked to stop."""
        self.done = done
        is_time = self._clock() - self._written_at >= self._every_s
        if is_time or done >= self._total:
            self._write()
        return not self._job.stop_requested

    def tell(self) -> None:
        """Says how far it is by now: what came since the last look is not lost."""
        if self._state is not None:
            self._write()

    def go_on(self, done: int) -> None:
        """`reached`, for work that has nothing to keep: a stop raises `Stopped`."""
        if not self.reached(done):
            raise Stopped

    def _write(self) -> None:
        assert self._state is not None
        now = self._written_at = self._clock()
        self._lately.append((now, self.done))
        # The first that is left is of before "lately", or of the beginning.
        while len(self._lately) > 1 and now - self._lately[1][0] >= LATELY_S:
            self._lately.popleft()
        since, done = self._lately[0]
        gained, left = self.done - done, max(0, self._total - self.done)
        rate = gained / (now - since) if now > since and gained > 0 else None
        status = JobStatus(
            self._state,
            done=self.done,
            total=self._total,
            rate=rate * self._rate_of_one if rate else None,
            eta_s=left / rate if rate else None,
        )
        write_status(self._job.path, status)


class Counted:
    """Reports what is counted once its total is known: tokens that are read, or bytes,
    of which some were there before if it goes on."""

    def __init__(self, reporter: Reporter, state: State) -> None:
        self._reporter, self._has_begun = reporter, False
        self._state: State = state
        self._rest: tuple[int, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Raises `Stopped` when somebody asked for it."""
        if not self._has_begun:
            self._reporter.begin(self._state, total, done)
            self._has_begun, self._total = True, total
        self._reporter.go_on(done)

    def rest(self, share: float) -> None:
        """Reports `share` (0 to 1) of what was left of the total when this was first
        called; raises `Stopped` as above."""
        if self._rest is None:
            self._rest = self._reporter.done, self._total - self._reporter.done
        before, left = self._rest
        self._reporter.go_on(before + round(share * left))
