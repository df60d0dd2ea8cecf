"""Whether a finished SAE is good, fair or poor, and the one reason that decides it.

The bounds are this project's, for small models; what published SAEs reach stands beside
each. Harsher rules come first: the first that holds decides.
"""

from collections.abc import Callable, Mapping
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


# The figure, whether the rule holds for its value, and what follows from that.
_RULES: tuple[tuple[str, Callable[[float], bool], Verdict], ...] = (
    ("ce_loss_score", lambda value: value < POOR_CE, Verdict("poor", "ce")),
    ("dead_share", lambda value: value > POOR_DEAD, Verdict("poor", "dead")),
    (
        "explained_variance",
        lambda value: value < POOR_VARIANCE,
        Verdict("poor", "variance"),
    ),
    ("l0", lambda value: value > MOST_L0, Verdict("fair", "l0")),
    ("ce_loss_score", lambda value: value < GOOD_CE, Verdict("fair", "ce")),
    ("dead_share", lambda value: value > GOOD_DEAD, Verdict("fair", "dead")),
)


def verdict(figures: Mapping[str, float]) -> Verdict | None:
    """What the held-out figures of `eval.json` say of an SAE; None without the CE-loss
    score, on which it rests."""
    if "ce_loss_score" not in figures:
        return None
    for name, holds, outcome in _RULES:
        if name in figures and holds(figures[name]):
            return outcome
    return Verdict("good", "ce")
