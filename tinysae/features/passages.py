"""Which of a feature's passages are shown first: strong ones that differ.

The stories that an SAE was trained on repeat themselves, so that a feature's strongest
passages are often one sentence with another name in it. What is shown is chosen when
the index is read: the page and the exported file agree, and old indexes gain by it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinysae.features.index.records import Context, FeatureRecord

# Tokens on either side of the strongest by which two passages are compared.
RADIUS = 13
# Of the strongest activation: weaker samples of the index are not looked at.
STRONG = 0.5
# Shares of their tokens that two passages have in common: above the first they are of
# one template, above the second one sentence with another word in it.
TEMPLATE, SENTENCE = 0.4, 0.6


def varied(record: "FeatureRecord", n: int) -> "list[Context]":
    """Up to `n` passages, the strongest first; the strongest of all is among them.

    Taken in three rounds, each from the strongest down: of another wording and on
    another token than all that were taken; of another wording; of another sentence.
    Where there are fewer than `n`, its other passages say the same as these.
    """
    strong = _strong(record)
    words = [set(each.window(RADIUS).tokens.tolist()) for each in strong]
    tokens = [int(each.tokens[each.position]) for each in strong]
    taken: list[int] = []

    def take(limit: float, *, is_other_token: bool) -> None:
        for at, own in enumerate(words):
            if len(taken) == n:
                return
            is_new = all(_shared(own, words[other]) <= limit for other in taken)
            repeats = is_other_token and tokens[at] in {tokens[x] for x in taken}
            if is_new and not repeats:
                taken.append(at)

    take(TEMPLATE, is_other_token=True)
    take(TEMPLATE, is_other_token=False)
    take(SENTENCE, is_other_token=False)
    return [strong[at] for at in sorted(taken)]


def others(record: "FeatureRecord", shown: "Sequence[Context]") -> "list[Context]":
    """The strongest passages that are not among those `shown`."""
    places = set(map(_place, shown))
    return [each for each in record.contexts if _place(each) not in places]


def _strong(record: "FeatureRecord") -> "list[Context]":
    """The strongest passages, and the samples of all ranges that are strong enough."""
    samples = [each for group in record.bin_contexts for each in group.contexts]
    least = STRONG * record.max_act
    found = [*record.contexts, *(each for each in samples if _strength(each) >= least)]
    unique = {_place(each): each for each in reversed(found)}.values()
    return sorted(unique, key=_strength, reverse=True)


def _strength(context: "Context") -> float:
    return float(context.activations[context.position])


def _place(context: "Context") -> tuple[int, int]:
    return (context.chunk, context.position)


def _shared(one: set[int], other: set[int]) -> float:
    """The share of their tokens that are in both (Jaccard)."""
    return len(one & other) / max(1, len(one | other))
