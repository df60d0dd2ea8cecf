"""A picture's claims against interventions: ranks, signs, and which are tried."""

import pytest

from tinysae.features.why.claims import N_CHECKED, agreement, spread


def test_what_is_foretold_in_the_right_order_ranks_as_one() -> None:
    found = agreement([3.0, -1.0, 2.0, 0.5], [300.0, -7.0, 11.0, 1.0], 5.0)
    assert found is not None
    assert found == (4, pytest.approx(1.0), 1.0, 4)


def test_a_wrong_sign_counts_where_it_matters() -> None:
    found = agreement([1.0, -1.0, 0.001], [2.0, 1.0, -0.001], 10.0)
    assert found is not None
    assert found.n_matter == 2
    assert found.sign == 0.5


def test_two_parts_say_nothing() -> None:
    assert agreement([1.0, 2.0], [1.0, 2.0], 1.0) is None


def test_interventions_are_spread_from_the_largest_part_to_the_smallest() -> None:
    parts = list(range(500))
    tried = spread(parts)
    assert len(tried) == N_CHECKED
    assert (tried[0], tried[-1]) == (0, 499)
    steps = {after - before for before, after in zip(tried, tried[1:], strict=False)}
    assert steps <= {10, 11}
    assert spread([1, 2]) == [1, 2]
