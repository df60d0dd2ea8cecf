"""Numbers from outside: what is one, what is none, and nothing is raised."""

import math

import pytest

from tinysae.checked_numbers import (
    MAX_WHOLE,
    is_number,
    is_number_within,
    number,
    typed_whole,
    whole,
)

HUGE = 10**400
NO_NUMBERS = [HUGE, -HUGE, math.nan, math.inf, -math.inf, True, None, "1", [1], {}, 1j]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_no_float_holds_is_no_number(value: object) -> None:
    assert not is_number(value)
    assert number(value) is None
    assert whole(value) is None
    assert not is_number_within(value, float, None, None)


def test_a_number_has_its_kind_and_its_bounds() -> None:
    assert number(3) == 3.0
    assert isinstance(number(3), float)
    assert number(-1, low=0) is None
    assert whole(3.0) == 3
    assert isinstance(whole(3.0), int)
    assert whole(3.5) is None
    assert whole(-1) is None
    assert whole(MAX_WHOLE) == MAX_WHOLE
    assert whole(MAX_WHOLE + 1) is None
    assert is_number_within(2, int, None, 2)
    assert not is_number_within(2.5, int, None, None)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", " 1", "1_0", "٣", "²", "1" * 400, "10", None]
)
def test_what_is_typed_is_digits_below_a_bound(text: str | None) -> None:
    assert typed_whole(text, below=10) is None
    assert typed_whole("9", below=10) == 9
    assert typed_whole("09", below=10) == 9
