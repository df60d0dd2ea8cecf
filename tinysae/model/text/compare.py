"""Two texts, or one text in two models, token by token."""

from collections.abc import Sequence
from difflib import SequenceMatcher


def aligned(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of positions whose tokens say the same, both in rising order.

    The longest common runs come first (Ratcliff and Obershelp), so that an inserted
    word shifts what follows without losing it.
    """
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return [
        (block.a + i, block.b + i)
        for block in matcher.get_matching_blocks()
        for i in range(block.size)
    ]
