"""What a reader sees at a token, against the same looked up one by one."""

import numpy as np
import pytest

from tinysae.features.names.surroundings import (
    MANY_KINDS,
    N_RECENT,
    PLACES,
    Surroundings,
    surroundings,
)
from tinysae.model.text.vocabulary import Vocabulary

TEXTS = ["<bos>", " The", " cat", "ch", "es", ",", ".", " she", ' "', "'s", " 7"]
BOS = 0
N_CONCEPTS = 3


@pytest.fixture(scope="module")
def text() -> tuple[list[int], np.ndarray, Surroundings]:
    rng = np.random.default_rng(0)
    chunks = rng.integers(0, len(TEXTS), (40, 32)).astype(np.int32)
    concepts = rng.random((chunks.size, 2 * N_CONCEPTS)) < 0.2
    vocabulary = Vocabulary([each.encode() for each in TEXTS])
    names = tuple("abc")
    seen = surroundings(chunks, vocabulary, BOS, concepts, names)
    return chunks.ravel().tolist(), concepts[:, :N_CONCEPTS], seen


def words_before(tokens: list[int], at: int) -> list[tuple[str, int]]:
    """The words before that of the token `at`, the last first; where each ends."""
    words: list[tuple[str, int]] = []
    begin = max(n for n in range(at + 1) if n == 0 or tokens[n - 1] == BOS)
    for n in range(begin, at + 1):
        own = TEXTS[tokens[n]]
        joins = own[0].isalnum() or own == "'s"
        if words and joins and words[-1][0][-1].isalnum():
            words[-1] = (words[-1][0] + own.strip(), n)
        else:
            words.append((own.strip(), n))
    return words[-2::-1][:N_RECENT]


def groups(seen: Surroundings, at: int, kind: str) -> set[str]:
    which = len(seen.group) + MANY_KINDS.index(kind)
    begin, end = seen.first[which], seen.first[which + 1]
    own = seen.many[seen.many_first[at] : seen.many_first[at + 1]].tolist()
    names = [seen.what[group] for group in own if begin <= group < end]
    assert len(names) == len(set(names))
    return set(names)


def test_the_words_before_are_those_that_stand_there(text):
    tokens, _, seen = text
    for at, token in enumerate(tokens):
        words = [] if token == BOS else words_before(tokens, at)
        wanted = {word for word, _ in words if word[-1].isalnum()}
        assert groups(seen, at, "recent") == wanted


def test_a_concept_is_near_where_a_word_before_ends_with_it(text):
    tokens, concepts, seen = text
    for at, token in enumerate(tokens):
        words = [] if token == BOS else words_before(tokens, at)
        wanted = {"abc"[c] for _, end in words for c in np.flatnonzero(concepts[end])}
        assert groups(seen, at, "near") == wanted


def test_every_token_is_in_half_of_what_is_either_so_or_not(text):
    tokens, _, seen = text
    either = [PLACES[n : n + 2] for n in (0, 2, 4, 6)]
    for at, token in enumerate(tokens):
        places = groups(seen, at, "place")
        for pair in either:
            assert len(places & set(pair)) == (token != BOS)
