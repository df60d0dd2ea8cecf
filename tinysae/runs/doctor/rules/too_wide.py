"""More features than the text can teach."""

from tinysae.runs.doctor.case import Case, ratio, whole_text
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.runs.doctor.rules.dead import COMFORTABLE_DEAD
from tinysae.runs.doctor.rules.l0_low import SPARSE

# Firings a direction, when there is one for each of its numbers at the least.
TIMES_COMFORTABLE = 4
NARROWEST = 64


def find(case: Case) -> Finding | None:
    config, d_in = case.config, case.figure("d_in")
    if case.l0 < SPARSE:
        # Another fault: any width would fire too little.
        return None
    n_tokens, n_distinct = whole_text(case)
    new = ratio(n_distinct, n_tokens)
    # Unknown: as if all of it were new.
    tokens = case.n_tokens * (new if new == new else 1.0)
    firings = ratio(tokens * case.l0, config.d_sae)
    if not (firings < d_in and case.dead_share > COMFORTABLE_DEAD):
        return None
    width = _power_of_two(tokens * case.l0 / (TIMES_COMFORTABLE * d_in))
    return Finding(
        {
            "firings": firings,
            "d_in": d_in,
            "width": config.d_sae,
            "share": case.dead_share,
        },
        {"d_sae": max(NARROWEST, min(width, config.d_sae // 2))},
    )


def _power_of_two(n: float) -> int:
    """The largest that is not above `n`; 1 of a smaller one."""
    return 1 << max(0, int(n).bit_length() - 1)


RULE = Rule(
    "too_wide",
    Seriousness.SPOILED,
    find,
    formula="how often a feature fires in all: new tokens · L0 / d_sae; and dead "
    "features",
    bound="d_in, and a tenth dead: a direction in d_in dimensions is not determined by "
    "fewer samples",
    remedy="d_sae: the power of two at which a feature fires 4 · d_in times",
    source="linear algebra; Gao et al. 2024, [3](https://arxiv.org/abs/2406.04093): "
    "tokens have to grow with the number of features",
)
