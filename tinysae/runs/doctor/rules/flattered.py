"""Zeros at the hook do more harm than knowing nothing: the score is flattered."""

import math

from tinysae.runs.doctor.case import NAN, Case, ratio
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.runs.verdict import POOR_CE
from tinysae.setting import KEEPS_K, KEEPS_WHOLE_K

# Of the score, what is owed to zeros that are worse than a guess.
FLATTERED = 0.05
TIMES = 3


def find(case: Case) -> Finding | None:
    score, honest = case.figure("ce_loss_score"), _honest(case)
    if not (score > POOR_CE and score - honest > FLATTERED):
        return None
    config = case.config
    if config.architecture in KEEPS_K:
        k = min(float(config.d_sae), TIMES * config.k)
        k = float(int(k)) if config.architecture in KEEPS_WHOLE_K else k
        remedy: dict[str, object] = {"k": k}
    else:
        remedy = {**case.penalised(1 / TIMES)}
    nats = case.figure("ce_loss_sae") - case.figure("ce_loss_clean")
    return Finding(
        {
            "score": score,
            "honest": honest,
            "nats": nats,
            "zero": case.figure("ce_loss_zero"),
        },
        remedy,
    )


def _honest(case: Case) -> float:
    """The CE-loss score against an even guess over the vocabulary; NaN where zeros are
    no worse than that."""
    n, zero = case.figure("d_vocab"), case.figure("ce_loss_zero")
    if not n > 1 or not zero > math.log(n):
        return NAN
    guess = math.log(n)
    return ratio(
        guess - case.figure("ce_loss_sae"), guess - case.figure("ce_loss_clean")
    )


RULE = Rule(
    "flattered",
    Seriousness.BETTER,
    find,
    formula="CE-loss score less the same with ln d_vocab for CE_zero, where that is "
    "less",
    bound="0.05, of a score above 0.8, which is not called poor",
    remedy="k or wanted_l0 × 3, or a third of the coefficient: what is lost is real",
    source="an even guess over the vocabulary costs ln d_vocab; Gao et al. 2024, "
    "[4.1](https://arxiv.org/abs/2406.04093), which says the loss itself",
)
