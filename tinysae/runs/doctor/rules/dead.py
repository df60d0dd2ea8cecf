"""Features that fire on nothing."""

from typing import Any

from tinysae.runs.doctor.case import WARM_UP, Case
from tinysae.runs.doctor.diagnosis import USUAL_LR, Finding, Rule, Seriousness
from tinysae.setting import KEEPS_K

# On its way a run whose auxiliary loss wakes them up has a third of them dead.
MANY_DEAD = 0.4
# At its end that many are lost.
LOST_DEAD = 0.25
COMFORTABLE_DEAD = 0.1
WARM_UP_SHARE = 0.2
SMALLER = 2
# Anthropic's, of JumpReLU's loss that pulls a dead feature's pre-activations up.
PRE_ACT = 3e-6


def find(case: Case) -> Finding | None:
    share = case.dead_share
    if not share > (LOST_DEAD if case.is_over else MANY_DEAD):
        return None
    return Finding(
        {"share": share, "features": share * case.config.d_sae}, _remedy(case)
    )


def _remedy(case: Case) -> dict[str, Any]:
    config = case.config
    # Whoever is thrown far in one step may never fire again.
    lr = {"lr": min(config.lr, USUAL_LR)}
    if config.architecture in KEEPS_K:
        if config.aux_loss_coefficient < 1:
            return {"aux_loss_coefficient": 1.0, **lr}
        return {"d_sae": config.d_sae // SMALLER, **lr}
    warmed = WARM_UP[case.penalty or "l1_coefficient"]
    warm_up = round(WARM_UP_SHARE * config.total_training_steps)
    remedy = {
        **case.penalised(1 / SMALLER),
        warmed: max(getattr(config, warmed), warm_up),
        **lr,
    }
    if config.architecture == "jumprelu":
        remedy["pre_act_loss_coefficient"] = max(
            PRE_ACT, config.pre_act_loss_coefficient
        )
    return remedy


RULE = Rule(
    "dead",
    Seriousness.SPOILED,
    find,
    formula="features that fired on no held-out token (while it trains: for "
    "dead_feature_window steps), over d_sae",
    bound="0.25 at the end, 0.4 on the way",
    remedy="aux_loss_coefficient 1, then half of d_sae (k); half of the coefficient "
    "or wanted_l0 × 2, warmed up over a fifth of the run (L1, JumpReLU; of that also "
    "pre_act_loss_coefficient)",
    source="Gao et al. 2024, [auxiliary loss](https://arxiv.org/abs/2406.04093), A.2; "
    "SAELens [#543](https://github.com/decoderesearch/SAELens/issues/543): a warm-up",
)
