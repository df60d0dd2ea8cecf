"""The rules, the cause before what it causes, and what they say of a run."""

from collections.abc import Iterable, Mapping

from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import Diagnosis, Rule, Seriousness, changes
from tinysae.runs.doctor.rules import (
    dead,
    dense,
    diverged,
    few_tokens,
    flattered,
    l0_high,
    l0_low,
    lr_high,
    lr_low,
    meaningless,
    norm_off,
    outliers,
    rail,
    shrinkage,
    small_evaluation,
    spikes,
    text_repeated,
    too_wide,
)


def registry(rules: Iterable[Rule]) -> Mapping[str, Rule]:
    """The rules by their keys, in their order.

    Raises:
        ValueError: two of them have one key.
    """
    found: dict[str, Rule] = {}
    for rule in rules:
        if rule.key in found:
            raise ValueError(f"two rules are called {rule.key!r}")
        found[rule.key] = rule
    return found


RULES = registry(
    module.RULE
    for module in (
        diverged,
        norm_off,
        meaningless,
        outliers,
        lr_high,
        spikes,
        lr_low,
        text_repeated,
        too_wide,
        l0_low,
        rail,
        l0_high,
        dead,
        dense,
        shrinkage,
        small_evaluation,
        flattered,
        few_tokens,
    )
)
"""Of two that are as serious the first is said first: a step that is too large also
kills features, and who has too few tokens for so many features has dead ones."""


def diagnose(case: Case) -> list[Diagnosis]:
    """What is wrong with a run, the most serious first; empty when all is well. Where
    nothing was learnt, only why."""
    if not case.is_judged:
        return []
    found: list[Diagnosis] = []
    for rule in RULES.values():
        finding = rule.find(case)
        if finding is not None:
            remedy = changes(case.config, finding.remedy or {})
            found.append(
                Diagnosis(rule.key, rule.seriousness, finding.evidence, remedy)
            )
    lost = [each for each in found if each.seriousness is Seriousness.LOST]
    # The rest follows from it, or will be another once it is mended.
    return lost or sorted(found, key=lambda each: -each.seriousness)
