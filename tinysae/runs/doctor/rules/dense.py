"""Features that fire on so many tokens that they say little of any."""

from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.setting import KEEPS_K, KEEPS_WHOLE_K

# Of the features; a hundredth is what the shipped SAEs have.
MANY_DENSE = 0.3
# Active features of a hundred, with which few are.
READABLE = 0.04
LARGER = 2


def find(case: Case) -> Finding | None:
    config, share = case.config, case.dense_share
    if not share > MANY_DENSE:
        return None
    if config.architecture in KEEPS_K:
        k = max(1.0, READABLE * config.d_sae)
        k = float(int(k)) if config.architecture in KEEPS_WHOLE_K else k
        remedy = {"k": min(config.k, k)}
    else:
        remedy = case.penalised(LARGER)
    return Finding({"share": share, "l0": case.l0}, remedy)


RULE = Rule(
    "dense",
    Seriousness.SPOILED,
    find,
    formula="features that fire on more than a tenth of the tokens, over d_sae",
    bound="0.3",
    remedy="k: 0.04 d_sae; the coefficient × 2; or half of wanted_l0",
    source="Rajamanoharan et al. 2024, [JumpReLU](https://arxiv.org/abs/2407.14435), "
    "5.3: features that fire on a tenth of the tokens are hard to read",
)
