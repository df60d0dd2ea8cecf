"""Which points of a sweep can take their steps side by side, and from where."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from tinysae.runs.checkpoints import Checkpoint, checkpoints
from tinysae.runs.store import Run
from tinysae.runs.sweep import stream_of

# Before its first step; a checkpoint of no steps has read the norm's batches.
_NOWHERE = -1


class Start(NamedTuple):
    """A run, and the checkpoint that it goes on from; None: from its beginning."""

    run: Run
    checkpoint: Checkpoint | None


def side_by_side(runs: Iterable[Run]) -> list[list[Start]]:
    """Parties of runs that read the same text alike, from the same batch on.

    A process that was killed while it wrote checkpoints left the new one with some of a
    party and the one before with all: it goes on from that. One that was stopped alone,
    earlier than the others, goes on alone.
    """
    streams: defaultdict[Hashable, list[Run]] = defaultdict(list)
    for run in runs:
        streams[stream_of(run.config, run.id)].append(run)
    return [party for alike in streams.values() for party in _parties(alike)]


def _parties(runs: Sequence[Run]) -> list[list[Start]]:
    # The newest and the one before; who goes further back learns again what it knew.
    left = {run.id: (run, checkpoints(run)[-2:]) for run in runs}
    found: list[list[Start]] = []
    while left:
        step = min(known[-1].step if known else _NOWHERE for _, known in left.values())
        party = [
            Start(run, checkpoint)
            for run, known in left.values()
            for checkpoint in known or [None]
            if step == (_NOWHERE if checkpoint is None else checkpoint.step)
        ]
        for start in party:
            del left[start.run.id]
        found.append(party)
    return found
