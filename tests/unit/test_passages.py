"""Which of a feature's passages are shown first."""

from typing import Any

import numpy as np

from tinysae.features.index.records import BinContexts, Context
from tinysae.features.passages import others, varied


def passage(strength: float, *tokens: int) -> Context:
    ids = np.array(tokens)
    values = np.full(len(ids), strength, np.float32)
    # A text of its own.
    chunk = hash((strength, tokens))
    return Context(chunk, len(ids) - 1, ids, [""] * len(ids), values)


class Record:
    """What of a feature's record is read."""

    def __init__(self, *contexts: Context, samples: tuple[Context, ...] = ()) -> None:
        self.contexts = list(contexts)
        self.bin_contexts = [BinContexts(0.0, 1.0, len(samples), list(samples))]
        self.max_act = max(float(each.activations[0]) for each in contexts)


def shown(record: Any, n: int) -> list[Context]:
    return varied(record, n)


STRONGEST = passage(9, 1, 2, 3, 4, 5, 99)
SAME = passage(8, 1, 2, 3, 4, 6, 99)
TEMPLATE = passage(7, 1, 2, 3, 11, 12, 99)
OTHER_WORD = passage(6, 21, 22, 23, 24, 25, 98)


def test_passages_of_another_wording_and_word_are_taken_before_repetitions() -> None:
    record = Record(STRONGEST, SAME, TEMPLATE, OTHER_WORD)
    assert shown(record, 1) == [STRONGEST]
    assert shown(record, 2) == [STRONGEST, OTHER_WORD]


def test_what_is_shown_is_in_the_order_of_strength() -> None:
    record = Record(STRONGEST, SAME, TEMPLATE, OTHER_WORD)
    assert shown(record, 3) == [STRONGEST, TEMPLATE, OTHER_WORD]


def test_one_sentence_with_another_word_in_it_is_not_shown_twice() -> None:
    record: Any = Record(STRONGEST, SAME)
    assert shown(record, 9) == [STRONGEST]
    assert others(record, [STRONGEST]) == [SAME]


def test_strong_samples_of_the_ranges_are_shown_where_the_strongest_repeat() -> None:
    other, weak = passage(5, 31, 32, 33, 34, 35, 99), passage(4, 41, 42, 43, 44, 45, 99)
    record = Record(STRONGEST, SAME, samples=(other, weak, STRONGEST))
    assert shown(record, 9) == [STRONGEST, other]
