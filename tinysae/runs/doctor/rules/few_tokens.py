"""The curve is still rising at the end: what more tokens would bring.

The explained variance y as a power law of the tokens t, y(t) = a - b t^-c, gains less
with each doubling, each time by the same factor r = 2^-c (Aitken's delta-squared):

    r = (y(T) - y(T/2)) / (y(T/2) - y(T/4));  y(2T) - y(T) = r (y(T) - y(T/2))
"""

from tinysae.runs.doctor.case import Case, middle, ratio
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.setting import COSINES

# Of what is not explained, the share that as many tokens again would explain.
GAIN = 0.15
# Of the variance. Every curve still rises: healthy runs of 400k tokens, of which 0.003
# or 0.2 are missing, would gain 0.03 at most.
RISE = 0.04
TIMES = 4
# Points of a curve around a place of it.
AROUND = 0.03


def find(case: Case) -> Finding | None:
    up = steps_up(case)
    if up is None or not case.is_over or case.config.lr_scheduler_name in COSINES:
        # A learning rate that falls all the time bends the curve as tokens do not.
        return None
    first, second, now = up
    if not first > 0:
        # It has fallen meanwhile, for fewer features: no power law of the tokens.
        return None
    r = min(1.0, max(0.0, ratio(second, first)))
    twice, four_times = r * second, (r + r * r) * second
    gain = ratio(twice, 1 - now)
    if not (gain > GAIN and twice > RISE):
        return None
    tokens = case.config.training_tokens
    # While the power law holds, which no one knows for so far.
    expected = min(1.0, now + four_times)
    return Finding(
        {
            "ev": now,
            "gain": expected,
            "several": float(TIMES),
            "r": r,
            "share": gain,
            "rise": twice,
        },
        {"training_tokens": TIMES * tokens},
    )


def steps_up(case: Case) -> tuple[float, float, float] | None:
    """(y(T/2) - y(T/4), y(T) - y(T/2), y(T)) of the explained variance; None of a curve
    too short for that."""
    curve = case.learning
    if len(curve) < 4:
        return None
    end = curve[-1][0]
    y1, y2, y3 = (_near(curve, end * share) for share in (0.25, 0.5, 1.0))
    return y2 - y1, y3 - y2, y3


def _near(curve: list[tuple[int, float]], tokens: float) -> float:
    """The median of the points around a place: one batch says little."""
    width = AROUND * curve[-1][0]
    near = [y for at, y in curve if abs(at - tokens) <= width]
    if near:
        return middle(near)
    return min(curve, key=lambda point: abs(point[0] - tokens))[1]


RULE = Rule(
    "few_tokens",
    Seriousness.BETTER,
    find,
    formula="y(t) = a − b t^−c for the explained variance: r = (y(T) − y(T/2)) / "
    "(y(T/2) − y(T/4)), y(2T) − y(T) = r (y(T) − y(T/2)), over 1 − y(T); where lr does "
    "not decay yet (it always does on a cosine)",
    bound="0.15, and 0.04 of the variance: twice the tokens would explain a seventh of "
    "what is missing, and more than healthy runs would gain",
    remedy="training_tokens × 4, warm-ups and decay with them",
    source="Gao et al. 2024, [scaling laws of SAEs](https://arxiv.org/abs/2406.04093), "
    "3; Aitken's delta-squared",
)
