"""The verdict on a finished SAE: the first rule that holds decides."""

import pytest

from tinysae.runs.verdict import Verdict, verdict

GOOD = {
    "ce_loss_score": 0.99,
    "explained_variance": 0.9,
    "l0": 30.0,
    "dead_share": 0.02,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict("good", "ce")),
        ({"ce_loss_score": 0.7}, Verdict("poor", "ce")),
        ({"ce_loss_score": 0.9}, Verdict("fair", "ce")),
        ({"dead_share": 0.6}, Verdict("poor", "dead")),
        ({"dead_share": 0.2}, Verdict("fair", "dead")),
        ({"explained_variance": 0.4}, Verdict("poor", "variance")),
        ({"l0": 300.0}, Verdict("fair", "l0")),
        ({"l0": 300.0, "ce_loss_score": 0.5}, Verdict("poor", "ce")),
    ],
)
def test_a_verdict_names_what_decides_it(
    changes: dict[str, float], expected: Verdict
) -> None:
    assert verdict({**GOOD, **changes}) == expected


def test_figures_of_an_older_version_are_judged_by_what_they_have() -> None:
    assert verdict({"ce_loss_score": 0.96}) == Verdict("good", "ce")
    assert verdict({"l0": 3.0}) is None
