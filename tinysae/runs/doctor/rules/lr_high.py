"""Steps so large that the SAE loses again what it had."""

from itertools import pairwise

from tinysae.runs.doctor.case import TOO_EARLY, WARM_UP, Case, known, ratio
from tinysae.runs.doctor.diagnosis import USUAL_LR, Finding, Rule, Seriousness
from tinysae.sae.rows import EvalMetrics
from tinysae.setting import WITH_RESTARTS

# In all. The text is the same at every look. With five times the best rate it was 0.055
# to 0.18 (three seeds), with two and a half times, which learns as well, below 0.01.
FELL = 0.02
# Of L0: a penalty that makes features fewer takes some of it away, too.
KEPT = 0.95
SMALLER = 5


def find(case: Case) -> Finding | None:
    if case.config.lr_scheduler_name in WITH_RESTARTS[1]:
        # Each restart takes some away, at any rate; `spikes` sees where that is much.
        return None
    begin = max(TOO_EARLY * case.total, _warm_up(case))
    judged = [look for look in case.looks if look["step"] >= begin]
    changes = [_fall(before, after) for before, after in pairwise(judged)]
    falls = [fall for fall in changes if fall > 0]
    lost = sum(falls)
    if not lost > FELL:
        return None
    lr = case.config.lr
    return Finding(
        {"lr": lr, "lost": lost, "several": float(len(falls))},
        {"lr": min(lr / SMALLER, USUAL_LR)},
    )


def _fall(before: EvalMetrics, after: EvalMetrics) -> float:
    """In explained variance, from a look to the next; none where features were given
    up for it."""
    if not ratio(known(after["l0"]), known(before["l0"])) > KEPT:
        return 0.0
    return known(before["explained_variance"]) - known(after["explained_variance"])


def _warm_up(case: Case) -> int:
    """Steps in which a penalty that grows takes some of it away, too."""
    return getattr(case.config, WARM_UP[case.penalty]) if case.penalty else 0


RULE = Rule(
    "lr_high",
    Seriousness.SPOILED,
    find,
    formula="the sum of what the explained variance of the held-out text loses from "
    "one look to the next, after the first third and the penalty's warm-up, where L0 "
    "stays and the schedule has no restarts",
    bound="0.02; with five times the best rate it was 0.055 and more, with two and a "
    "half times, which learns as well, below 0.01",
    remedy="lr / 5, at most 0.002",
    source="SAELens [#67](https://github.com/decoderesearch/SAELens/issues/67): lower "
    "the learning rate; Gao et al. 2024, [A.3](https://arxiv.org/abs/2406.04093)",
)
