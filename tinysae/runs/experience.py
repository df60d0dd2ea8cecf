"""What earlier runs took on this machine, beside what was expected of them.

A run's `estimate.json` says what was promised when it was started, and by which
experience that had been corrected; its `took.json` what it was in the end.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import NamedTuple

from tinysae.checked_numbers import is_number
from tinysae.config import Architecture
from tinysae.runs.store import Run

# The newest that can be learnt from: machines and their other work change.
N_RUNS = 5
# A shorter training says more of its beginning than of its speed.
SHORTEST_S, FEWEST_STEPS = 2.0, 50
# What is further off than this was another machine, or one that slept.
MOST_TIMES = 50.0


@dataclass(frozen=True)
class Experience:
    """How far the estimates of `n_runs` runs were off.

    times: as long as estimated is what they took. more_bytes: of memory beyond it.
    """

    times: float = 1.0
    more_bytes: int = 0
    n_runs: int = 0


class _Lesson(NamedTuple):
    """What one run was beyond its uncorrected estimate."""

    architecture: Architecture
    times: float
    more_bytes: float


def experience(runs: Iterable[Run], architecture: Architecture) -> Experience:
    """What `runs`, newest first, teach about one more of `architecture`.

    Runs of the same architecture count alone, where there are any. The time is
    corrected by the median; the memory by the most, and never downwards: it is what
    a machine must have.
    """
    lessons = list(islice(filter(None, map(_lesson, runs)), N_RUNS))
    alike = [each for each in lessons if each.architecture == architecture]
    lessons = alike or lessons
    if not lessons:
        return Experience()
    return Experience(
        times=median(each.times for each in lessons),
        more_bytes=max(0, round(max(each.more_bytes for each in lessons))),
        n_runs=len(lessons),
    )


def _lesson(run: Run) -> _Lesson | None:
    """None where nothing was expected, or too little happened."""
    guess, took = run.estimate(), run.took()
    if guess is None or took is None:
        return None
    try:
        numbers = (
            *guess["tokens_per_s"],
            *(guess["memory_bytes"], took["peak_memory_bytes"]),
            *(took["n_tokens"], took["training"]),
            # What was learnt before it; earlier versions learnt nothing.
            *(guess.get("times", 1.0), guess.get("more_bytes", 0)),
        )
    except (KeyError, TypeError):
        return None
    if len(numbers) != 8 or not all(map(is_number, numbers)):
        return None
    low, high, promised, peak, n_tokens, seconds, times, more_bytes = numbers
    if min(low, high, n_tokens, times) <= 0 or seconds < SHORTEST_S:
        return None
    if n_tokens < FEWEST_STEPS * run.config.train_batch_size_tokens:
        return None
    # Between the ends of the guess, without what had been learnt before it.
    found = math.sqrt(low * high) * times * seconds / n_tokens
    if not 1 / MOST_TIMES < found < MOST_TIMES:
        return None
    return _Lesson(run.config.architecture, found, peak - (promised - more_bytes))
