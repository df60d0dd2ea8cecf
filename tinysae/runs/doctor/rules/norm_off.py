"""The activations are not of the length that the settings take them to have."""

import math

from tinysae.runs.doctor.case import NAN, Case, known, ratio
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.sae.rows import ACTIVATION_SCALE

# A measured norm: as far off as a coefficient or a learning rate may be unnoticed.
OFF_MEASURED = 1.2
# Without any: coefficients of L1 and L0 mean something else then.
OFF_UNMEASURED = 2.0
MORE_BATCHES = 10
ENOUGH_BATCHES = 20


def find(case: Case) -> Finding | None:
    config = case.config
    is_measured = config.normalize_activations != "none"
    times = known(case.made_with.get(ACTIVATION_SCALE)) * _norm(case)
    bound = OFF_MEASURED if is_measured else OFF_UNMEASURED
    if not (times > bound or times < 1 / bound):
        return None
    if not is_measured and case.penalty is None:
        # A k keeps as many, whatever their scale is.
        return None
    remedy = {"normalize_activations": "expected_average_only_in"}
    n = config.n_batches_for_norm_estimate
    if is_measured:
        remedy = {"n_batches_for_norm_estimate": max(MORE_BATCHES * n, ENOUGH_BATCHES)}
    return Finding({"times": times, "limit": bound}, remedy)


def _norm(case: Case) -> float:
    """The mean norm of what is trained on, in units of sqrt(d_in); NaN where nobody
    measured it."""
    kept, special = case.figure("n_tokens"), case.figure("n_special")
    if case.config.exclude_special_tokens:
        special = 0.0
    total = kept * case.figure("mean_norm")
    if special > 0:
        total += special * case.figure("special_norm")
    d_in = case.figure("d_in")
    return ratio(total, kept + special) / math.sqrt(d_in) if d_in > 0 else NAN


RULE = Rule(
    "norm_off",
    Seriousness.LOST,
    find,
    formula="activation_scale · E‖x‖ / √d_in on held-out text; 1 where it is right",
    bound="off by 1.2 times where it was measured; by 2 where `normalize_activations` "
    "is none and a coefficient decides how many features are active",
    remedy="n_batches_for_norm_estimate × 10; or normalize_activations on",
    source="Anthropic, [April 2024 update]"
    "(https://transformer-circuits.pub/2024/april-update/index.html): "
    "coefficients are comparable where E‖x‖ = √d_in",
)
