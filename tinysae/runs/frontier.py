"""The frontier: which SAEs no other beats, in how few features they use and how much
they keep."""

from collections.abc import Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """An SAE's place: less `l0` (active features a token), more `kept` is better."""

    l0: float
    kept: float


def beats(one: Point, other: Point) -> bool:
    """Whether `one` is at least as good in both, and better in one (Pareto)."""
    return one != other and one.l0 <= other.l0 and one.kept >= other.kept


def frontier(points: Sequence[Point]) -> list[int]:
    """Where in `points` those are that none beats, by L0; of equal ones all."""
    order = sorted(range(len(points)), key=lambda at: (points[at].l0, -points[at].kept))
    best: list[int] = []
    for at in order:
        last = points[best[-1]] if best else None
        if last is None or points[at].kept > last.kept or points[at] == last:
            best.append(at)
    return best


def beaten_by(at: int, points: Sequence[Point]) -> list[int]:
    """Those that beat the one at `at`, the best kept first."""
    better = [n for n, other in enumerate(points) if beats(other, points[at])]
    return sorted(better, key=lambda n: -points[n].kept)
