"""The weights cannot have come to where they have to go."""

from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import USUAL_LR, Finding, Rule, Seriousness
from tinysae.runs.doctor.rules.few_tokens import steps_up
from tinysae.runs.verdict import POOR_VARIANCE

# In normalised units a trained weight is about 1 / sqrt(d_in), and has to come there.
SHORT_WAY = 0.15
FAR = 1.0
# Above it the way is short because of few steps.
LOW = USUAL_LR / 4


def find(case: Case) -> Finding | None:
    lr, way = case.config.lr, case.travel
    if not (case.is_over and way < SHORT_WAY and lr < LOW):
        return None
    up = steps_up(case)
    if up is None or not (up[1] > 0 and up[2] < POOR_VARIANCE):
        return None
    better = min(USUAL_LR, FAR / max(1, case.n_steps))
    return Finding({"lr": lr, "way": way}, {"lr": float(f"{max(better, 2 * lr):.2g}")})


RULE = Rule(
    "lr_low",
    Seriousness.LOST,
    find,
    formula="the sum of the learning rates over all steps: no weight moves further",
    bound=f"{SHORT_WAY}, at an lr below {LOW:g}, with less than half explained "
    "and the curve still rising",
    remedy="lr: 1 / steps, at most 0.002",
    source="Kingma and Ba 2015, [Adam](https://arxiv.org/abs/1412.6980), 2.1: a step "
    "is bounded by lr",
)
