"""The held-out text is too short for the score's last digits."""

from tinysae.runs.doctor.case import Case, ratio
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness
from tinysae.runs.doctor.rules.text_repeated import ENDLESS

# A score is read to the percent: two standard errors are no more than two of them.
WIDE = 0.02
STANDARD_ERRORS = 2


def find(case: Case) -> Finding | None:
    cost = case.figure("ce_loss_zero") - case.figure("ce_loss_clean")
    error = ratio(STANDARD_ERRORS * case.figure("ce_error"), cost)
    if not error > WIDE:
        return None
    is_ours = case.config.model_name == ENDLESS
    remedy = {"dataset_path": ENDLESS, "is_dataset_tokenized": False}
    return Finding(
        {
            "error": error,
            "score": case.figure("ce_loss_score"),
            "n": case.figure("n_tokens"),
        },
        remedy if is_ours else None,
    )


RULE = Rule(
    "small_evaluation",
    Seriousness.BETTER,
    find,
    formula="2 · standard error of CE_sae − CE_clean, token by token, over "
    "CE_zero − CE_clean",
    bound="0.02",
    remedy="the storybook's own stories, for its model; else more text, by hand",
    source="Miller 2024, [error bars](https://arxiv.org/abs/2411.00640): paired "
    "differences",
)
