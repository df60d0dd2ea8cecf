"""What the SAE gives back is shorter than what it was given."""

from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.setting import PENALISES_L1

# A fifth: so much do L1 penalties that are usual not take.
SHORT = 0.8


def find(case: Case) -> Finding | None:
    bias = case.figure("relative_reconstruction_bias")
    if case.config.architecture not in PENALISES_L1 or not bias < SHORT:
        return None
    if case.config.architecture == "standard":
        # Its gate decides what fires, and its penalty does not reach how strongly.
        remedy: dict[str, object] = {"architecture": "gated"}
    else:
        remedy = {**case.penalised(1 / 2)}
    return Finding({"bias": bias, "error": 1 - bias}, remedy)


RULE = Rule(
    "shrinkage",
    Seriousness.SPOILED,
    find,
    formula="relative_reconstruction_bias = E‖x̂‖² / E[x̂·x]",
    bound="0.8, of architectures with an L1 penalty",
    remedy="architecture gated; of a gated one half of l1_coefficient or wanted_l0 × 2",
    source="Rajamanoharan et al. 2024, [Gated SAEs](https://arxiv.org/abs/2404.16014), "
    "equation 10",
)
