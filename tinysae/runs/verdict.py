"""Whether a finished SAE is good, fair or poor, and the one reason that decides it.

The bounds are this project's, for small models; what published SAEs reach stands beside
each. Harsher rules come first: the first that holds decides.
"""

from collections.abc import Mapping
from math import inf
from typing import Final, Literal, NamedTuple

Grade = Literal["good", "fair", "poor"]

POOR_CE: Final = 0.8
"""CE-loss score below which the model says other things with the SAE in place; the
SAELens tutorial's own SAE recovers 0.86."""
GOOD_CE: Final = 0.95
"""Gemma Scope's SAEs of the residual stream lie above it."""
POOR_DEAD: Final = 0.5
"""Share of dead features from which most of the dictionary is wasted."""
GOOD_DEAD: Final = 0.1
POOR_VARIANCE: Final = 0.5
"""Explained variance below which more is lost than kept."""
MOST_L0: Final = 200.0
"""Active features a token beyond which nobody can read what a token means."""


class Verdict(NamedTuple):
    """A grade, and the figure that decides it (`train.why_<reason>` says it)."""

    grade: Grade
    reason: str


class _Rule(NamedTuple):
    """Decides where the figure `name` is below `low` or above `high`."""

    name: str
    outcome: Verdict
    low: float = -inf
    high: float = inf


_RULES = (
    _Rule("ce_loss_score", Verdict("poor", "ce"), low=POOR_CE),
    _Rule("dead_share", Verdict("poor", "dead"), high=POOR_DEAD),
    _Rule("explained_variance", Verdict("poor", "variance"), low=POOR_VARIANCE),
    _Rule("l0", Verdict("fair", "l0"), high=MOST_L0),
    _Rule("ce_loss_score", Verdict("fair", "ce"), low=GOOD_CE),
    _Rule("dead_share", Verdict("fair", "dead"), high=GOOD_DEAD),
)


def verdict(figures: Mapping[str, float]) -> Verdict | None:
    """What the held-out figures of `eval.json` say of an SAE; None without the CE-loss
    score, on which it rests."""
    if "ce_loss_score" not in figures:
        return None
    for rule in _RULES:
        value = figures.get(rule.name)
        if value is not None and not rule.low <= value <= rule.high:
            return rule.outcome
    return Verdict("good", "ce")
