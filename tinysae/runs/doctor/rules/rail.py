"""JumpReLU's thresholds rise as fast as they can: a larger coefficient does nothing."""

from tinysae.runs.doctor.case import NAN, Case, end_of, known, middle, ratio
from tinysae.runs.doctor.diagnosis import USUAL_LR, Finding, Rule, Seriousness
from tinysae.sae.sparsity_control import is_steered

# Adam moves a weight by lr a step at most. On average over all features, half of that
# is no noise.
AT_THE_RAIL = 0.5
END = 0.25
SMALLER = 10
# Ways of the present length that are taken in advance.
AHEAD = 4


def find(case: Case) -> Finding | None:
    speed = rail_share(case)
    if not speed > AT_THE_RAIL:
        return None
    config, now = case.config, case.at_end("threshold")
    further = config.jumprelu_init_threshold + AHEAD * (
        now - config.jumprelu_init_threshold
    )
    remedy = {
        "jumprelu_init_threshold": float(f"{further:.2g}"),
        "lr": max(config.lr, USUAL_LR),
    }
    if not is_steered(config):
        remedy["l0_coefficient"] = config.l0_coefficient / SMALLER
    return Finding({"share": speed, "l0": case.l0, "threshold": now}, remedy)


def rail_share(case: Case) -> float:
    """How far the mean threshold rose in the last quarter of the rows, over how far it
    can; NaN where there is none."""
    rows = end_of(case.rows, END)
    if not rows:
        return NAN
    first, last = rows[0], rows[-1]
    rise = known(last.get("threshold")) - known(first.get("threshold"))
    most = (last["step"] - first["step"]) * middle([row["lr"] for row in rows])
    return ratio(rise, most)


RULE = Rule(
    "rail",
    Seriousness.SPOILED,
    find,
    formula="rise of the mean threshold in the last quarter, over lr · steps",
    bound="0.5: Adam's step is lr at most, so that a larger coefficient moves it no "
    "faster",
    remedy="l0_coefficient / 10, jumprelu_init_threshold where it was heading, lr at "
    "least 0.002",
    source="SAELens [#719](https://github.com/decoderesearch/SAELens/issues/719): "
    "|Δthreshold| ≈ lr over the final steps",
)
