"""The first token of a context is many times as long as any other."""

from tinysae.runs.doctor.case import Case, ratio
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness

# As long as this, one token in 64 has a quarter of all squared error.
SPECIAL_TIMES = 5.0
# Others: a token that is that long is none of those that a feature is about.
OTHER_TIMES = 20.0


def find(case: Case) -> Finding | None:
    mean = case.figure("mean_norm")
    special = ratio(case.figure("special_norm"), mean)
    longest = ratio(case.figure("max_norm"), mean)
    if special > SPECIAL_TIMES and not case.config.exclude_special_tokens:
        return Finding({"times": special}, {"exclude_special_tokens": True})
    if longest > OTHER_TIMES:
        return Finding({"times": longest})
    return None


RULE = Rule(
    "outliers",
    Seriousness.SPOILED,
    find,
    formula="‖x‖ at special tokens (BOS), and the largest elsewhere, over the mean",
    bound="5, while they are trained on; 20",
    remedy="exclude_special_tokens; nothing for a token within the text",
    source="Sun et al. 2024, [massive activations](https://arxiv.org/abs/2402.17762): "
    "they stand at the first token",
)
