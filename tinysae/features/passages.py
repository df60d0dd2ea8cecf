"""Which of a feature's passages are shown first: strong ones that differ.

The stories that an SAE was trained on repeat themselves, so that a feature's strongest
passages are often one sentence with another name in it. What is shown is chosen when
the index is read: the page and the exported file agree, and old indexes gain by it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinysae.features.index.records import Context, FeatureRecord

# Tokens on either side of the strongest by which two passages are compared: all that is
# read of a passage, and those next to it.
WIDE, NEAR = 13, 4
# Of the strongest activation: weaker samples of the index are not looked at.
STRONG = 0.5
# Shares of their tokens that two passages have in common: above the first they are of
# one template, above the second one sentence with another word in it.
TEMPLATE, SENTENCE = 0.4, 0.6
ANY = 1.0
# What a passage may share, at most, with each that was taken before: next to the token,
# in all, and whether also the token itself.
ROUNDS = (
    (TEMPLATE, TEMPLATE, False),
    (TEMPLATE, TEMPLATE, True),
    (ANY, TEMPLATE, True),
    (ANY, SENTENCE, True),
)


def varied(record: "FeatureRecord", n: int) -> "list[Context]":
    """Up to `n` passages, the strongest first; the strongest of all is among them.

    Taken in `ROUNDS`, each from the strongest down. Where there are fewer than `n`, its
    other passages say the same as these.
    """
    strong = _strong(record)
    texts = [of_one_text(each) for each in strong]
    wide = [set(each.window(WIDE).tokens.tolist()) for each in texts]
    near = [set(each.window(NEAR).tokens.tolist()) for each in texts]
    token = [int(each.tokens[each.position]) for each in texts]
    taken: list[int] = []

    def is_new(at: int, most_near: float, most: float, *, also_token: bool) -> bool:
        return all(
            _shared(near[at] - {token[at]}, near[other] - {token[other]}) <= most_near
            and _shared(wide[at], wide[other]) <= most
            and (also_token or token[at] != token[other])
            for other in taken
        )

    for most_near, most, also_token in ROUNDS:
        for at in range(len(strong)):
            is_room = len(taken) < n and at not in taken
            if is_room and is_new(at, most_near, most, also_token=also_token):
                taken.append(at)
    return [strong[at] for at in sorted(taken)]


def of_one_text(context: "Context") -> "Context":
    """What of `context` belongs to the text that it is strongest in: what begins a
    context also stands between its texts."""
    is_bos = context.tokens == context.tokens[0]
    at = context.position
    first = int(is_bos[:at].nonzero()[0][-1]) + 1 if at else 0
    after = is_bos[at + 1 :].nonzero()[0]
    last = at + 1 + int(after[0]) if len(after) else len(context.texts)
    return context._replace(
        position=at - first,
        tokens=context.tokens[first:last],
        texts=context.texts[first:last],
        activations=context.activations[first:last],
    )


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
