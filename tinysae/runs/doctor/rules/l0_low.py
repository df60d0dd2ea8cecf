"""Hardly a feature is active any more."""

from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness

# Below one feature a token, most tokens are not told apart at all.
SPARSE = 1.0
SMALLER = 5


def find(case: Case) -> Finding | None:
    if case.penalty is None or not case.l0 < SPARSE:
        return None
    return Finding({"l0": case.l0}, case.penalised(1 / SMALLER))


RULE = Rule(
    "l0_low",
    Seriousness.LOST,
    find,
    formula="L0, of architectures with a coefficient",
    bound="1",
    remedy="l1_coefficient or l0_coefficient / 5; wanted_l0 × 5 of a steered run",
    source="this project's: below it most tokens have no feature",
)
