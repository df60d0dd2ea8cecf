"""The same text again and again."""

from tinysae.runs.doctor.case import Case, ratio, whole_text
from tinysae.runs.doctor.diagnosis import Finding, Rule, Seriousness

# Up to four times, a language model learns as from new text.
MANY_TIMES = 4.0
# The embedded model's text never ends.
ENDLESS = "storybook"


def find(case: Case) -> Finding | None:
    n_tokens, n_distinct = whole_text(case)
    times = ratio(n_tokens, n_distinct)
    if not times > MANY_TIMES:
        return None
    is_ours = case.config.model_name == ENDLESS
    remedy = {"dataset_path": ENDLESS, "is_dataset_tokenized": False}
    return Finding(
        {"n_tokens": n_distinct, "times": times}, remedy if is_ours else None
    )


RULE = Rule(
    "text_repeated",
    Seriousness.SPOILED,
    find,
    formula="tokens of the documents read, over those of documents not read before; of "
    "the first million",
    bound="4",
    remedy="the storybook's own stories, for its model; else more text, by hand",
    source="Muennighoff et al. 2023, [data-constrained language models]"
    "(https://arxiv.org/abs/2305.16264): four epochs are as good as new text",
)
