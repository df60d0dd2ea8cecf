"""The error has left for good."""

from tinysae.runs.doctor.case import Case, middle, ratio
from tinysae.runs.doctor.diagnosis import USUAL_LR, Finding, Rule, Seriousness

# The worker stops at ten times its best; a run that ended before it did is no better.
TIMES_BEST = 4.0
WINDOW = 10
SMALLER = 5
ERRORS = ("error.diverged", "error.diverged_far")


def find(case: Case) -> Finding | None:
    mse = case.values("mse")
    recent = middle(mse[-WINDOW:])
    best = min(
        (middle(mse[at : at + WINDOW]) for at in range(0, len(mse), WINDOW)),
        default=0.0,
    )
    times = ratio(recent, best)
    is_worse_than_nothing = middle(case.values("explained_variance")[-WINDOW:]) < 0
    if case.error not in ERRORS and not (times > TIMES_BEST and is_worse_than_nothing):
        return None
    lr = case.config.lr
    return Finding(
        {"lr": lr, "step": float(case.n_steps), "times": times},
        {"lr": min(lr / SMALLER, USUAL_LR)},
    )


RULE = Rule(
    "diverged",
    Seriousness.LOST,
    find,
    formula="MSE of the last ten rows over its best of any ten, and explained variance",
    bound="4, and below 0; or the worker stopped it (10 times, above twice the "
    "variance)",
    remedy="lr / 5, at most 0.002",
    source="tinysae/sae/divergence.py; SAELens #67: lowering the learning rate helps",
)
