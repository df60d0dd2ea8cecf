"""The compiler of the inner loops: numba, with a cache on disk where there can be one.

The cache of a function knows its own file only: what it calls, `compiled` itself apart,
stands in the same file, so that no stale code is run after a change.
"""

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.extending import intrinsic as _intrinsic

# Sums may be split over vector lanes and a product be fused with the sum that follows:
# rounding only. Not "nnan" and "ninf": a NaN has to come through.
SUMS = {"reassoc", "contract", "nsz"}
# The function that it makes takes the arguments after the first, the typing context.
intrinsic: Any = _intrinsic


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """njit that releases the GIL, and does without a cache where none can be kept."""

    def wrap(function: Callable[..., Any]) -> Any:
        # "numpy": no exception on a division by zero, whose check stops vectorising.
        flags = {"nogil": True, "error_model": "numpy", **options}
        try:
            return njit(cache=True, **flags)(function)
        except RuntimeError:
            # "no locator available": neither this folder nor the user's is writable.
            return njit(**flags)(function)

    return wrap
