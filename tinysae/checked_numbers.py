"""Numbers from outside: of files, links, lessons and forms, read here and nowhere else.

JSON has more than numbers where a number is meant: true, NaN, Infinity, and integers
of 400 digits, which end in an OverflowError wherever they meet a float.
"""

import math
import sys
from typing import TypeGuard

MAX_FLOAT = sys.float_info.max
# The largest that numpy, Arrow and a file's counters hold.
MAX_WHOLE = 2**63 - 1
# A number typed into an address; no counter of ours has more digits.
MAX_DIGITS = 15


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether `value` is a finite number that a float can hold."""
    # bool is an int in Python. Comparing is exact: it makes no float of a large int,
    # and is false for NaN.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -MAX_FLOAT <= value <= MAX_FLOAT
    )


def is_number_within(
    value: object, kind: type, low: float | None, high: float | None
) -> TypeGuard[int | float]:
    """Whether `value` is a finite number of `kind` (int, float) from `low` to `high`.

    A float without a fraction passes for an int, as forms send them.
    """
    return (
        is_number(value)
        and (kind is float or value == int(value))
        and (low is None or value >= low)
        and (high is None or value <= high)
    )


def number(
    value: object, low: float = -math.inf, high: float = math.inf
) -> float | None:
    """`value` as a float; None when it is no finite number from `low` to `high`."""
    return float(value) if is_number_within(value, float, low, high) else None


def whole(value: object, low: int = 0, high: int = MAX_WHOLE) -> int | None:
    """`value` as an int; None when it is no whole number from `low` to `high`."""
    return int(value) if is_number_within(value, int, low, high) else None


def typed_whole(text: str | None, below: int) -> int | None:
    """The whole number from 0 that stands in an address or a key, as its digits; None
    when that is no number, or not less than `below`."""
    if text is None or len(text) > MAX_DIGITS:
        return None
    # Other scripts have digits too, which `int` reads or fails on.
    if not (text.isascii() and text.isdecimal()):
        return None
    return found if (found := int(text)) < below else None
