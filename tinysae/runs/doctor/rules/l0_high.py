"""So many features are active that no token can be read, and they do not get fewer."""

from tinysae.runs.doctor.case import Case, ratio
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.runs.verdict import MOST_L0

# A quarter of the features tells nothing apart, however few these are.
DENSE = 0.25
# Over the last third of the rows L0 has to have fallen by this much to be falling.
FALLING = 0.9
LEAST_LARGER, MOST_LARGER = 3.0, 30.0
# Features a token that can be read, of d_sae.
READABLE = 0.03


def find(case: Case) -> Finding | None:
    l0, most = case.l0, limit(case)
    if case.penalty is None or not l0 > most or not (case.is_over or _stays(case)):
        return None
    # L0 falls more slowly than its coefficient grows.
    larger = l0 / (READABLE * case.config.d_sae)
    times = min(MOST_LARGER, max(LEAST_LARGER, larger))
    return Finding({"l0": l0, "limit": most}, case.penalised(times))


def limit(case: Case) -> float:
    """Active features a token from which nobody can read them."""
    return min(MOST_L0, DENSE * case.config.d_sae)


def _stays(case: Case) -> bool:
    l0 = case.values("l0")
    return ratio(case.at_end("l0"), l0[len(l0) * 2 // 3]) > FALLING if l0 else False


RULE = Rule(
    "l0_high",
    Seriousness.SPOILED,
    find,
    formula="L0, of architectures with a coefficient; while it trains also over what "
    "it was a third of the run ago",
    bound="a quarter of d_sae, and 200 at the most; 0.9",
    remedy="l1_coefficient or l0_coefficient × L0 / (0.03 d_sae), 3 to 30 times; "
    "wanted_l0 that much smaller of a steered run",
    source="SAELens [#382](https://github.com/decoderesearch/SAELens/issues/382), "
    "[#494](https://github.com/decoderesearch/SAELens/issues/494)",
)
