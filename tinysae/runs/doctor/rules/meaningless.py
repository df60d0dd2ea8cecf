"""Zeros at the hook cost next to nothing: a share of that says nothing."""

import re

from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness

# Nats a token: less is below what two runs of one model differ by.
LITTLE = 0.05


def find(case: Case) -> Finding | None:
    cost = case.figure("ce_loss_zero") - case.figure("ce_loss_clean")
    if not cost < LITTLE:
        return None
    block = re.match(r"blocks\.[0-9]+\.", case.config.hook_name)
    # What goes on from there: all that the block has made.
    remedy = {"hook_name": f"{block[0]}hook_resid_post"} if block else None
    return Finding({"nats": cost}, remedy)


RULE = Rule(
    "meaningless",
    Seriousness.SPOILED,
    find,
    formula="CE_zero − CE_clean, in nats a token",
    bound="0.05",
    remedy="hook_name: the residual stream after the same block",
    source="the formula of the CE-loss score, whose denominator it is",
)
