"""What a reader sees at every token of a text, as numbers that a rule can be made of.

A token stands in *groups*, one of each `KIND` (this word, the word before, the token
that comes next, ...), in as many storybook concepts as it has, and in *places* (inside
speech, said before, ...). A rule is "one of these groups, in this place".
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.model.text.vocabulary import Vocabulary

KINDS: Final = ("token", "word", "after", "phrase", "next", "shape", "before")
"""The groups of a token. token: itself. word: what its word is
up to here. after: the word before. phrase: both. next: the token that comes next.
shape: its word's class, by spelling. before: the word before the one before."""
MANY_KINDS: Final = ("recent", "fires_on", "about_to", "near", "place")
"""Kinds of which a token is in several groups. recent: one of the `N_RECENT` words
before its own. near: a concept of one of these. fires_on, about_to: a concept of its
word, of the next. place: one of `PLACES`."""
N_RECENT: Final = 8
PLACES: Final = (
    "in_speech",
    "outside_speech",
    "said_again",
    "first_time",
    "first_in_sentence",
    "not_first_in_sentence",
    "first_sentence",
    "later_sentence",
    "after_comma",
    "inside_word",
    "first_in_text",
)
WINDOW: Final = 32
"""Tokens of a context that is found or not, as delphi's."""
_OPENS: Final = frozenset("“«")
_CLOSES: Final = frozenset("”»")
_ENDS: Final = frozenset(".!?")
_SUFFIXES: Final = ("ing", "ed", "ly", "s")
_LEAST_STEM: Final = 3
_FIRST_TOKENS: Final = 16
_CONTEXTS_A_TURN: Final = 16


class Surroundings(NamedTuple):
    """A text of n tokens, BOS included.

    group [kinds, n]: the token's group of each kind, -1 for none; groups of all kinds
    are counted through. many_first [n + 1], many: its groups of `MANY_KINDS`.
    learnt_in, scored_in [n]: the context of `WINDOW` tokens that it is in, of the half
    that is learnt from and of the other; -1 for none (as BOS is). is_scored [n]:
    whether it is in that other half at all. first [all kinds + 1]: where each kind's
    groups begin, and where the last end. what: what each group is called.
    """

    group: NDArray[np.int32]
    many_first: NDArray[np.int64]
    many: NDArray[np.int32]
    learnt_in: NDArray[np.int32]
    scored_in: NDArray[np.int32]
    is_scored: NDArray[np.bool_]
    first: list[int]
    what: list[str]


def surroundings(
    chunks: NDArray[np.int32],
    vocabulary: Vocabulary,
    bos_id: int,
    concepts: NDArray[np.bool_] | None = None,
    concept_names: Sequence[str] = (),
) -> Surroundings:
    """What is seen at every token of contexts [n_chunks, context_size].

    Args:
        chunks: contexts that follow each other.
        vocabulary: of the tokens.
        bos_id: what separates texts.
        concepts: which concepts every token is an example of, [n, 2 * n_concepts]: of
            its own word, then of the next.
        concept_names: what those are called.
    """
    tokens = chunks.ravel()
    n = len(tokens)
    is_text = tokens != bos_id
    numbers: list[dict[str, int]] = [{} for _ in KINDS]
    group = np.full((len(KINDS), n), -1, np.int32)
    seen, words = _Reader(), _Words(n)
    places = np.zeros((n, len(PLACES)), np.bool_)
    texts = [vocabulary.text(token) for token in range(len(vocabulary))]
    for at, token in enumerate(tokens.tolist()):
        if token == bos_id:
            seen = _Reader()
            words.begin_text()
            continue
        seen.read(texts[token], token)
        words.read(seen, at)
        names = (
            texts[token],
            seen.word,
            seen.before,
            f"{seen.before} {seen.word}" if seen.before else "",
            None,
            _shape(seen),
            seen.two_before,
        )
        for kind, name in enumerate(names):
            if name:
                known = numbers[kind]
                group[kind, at] = known.setdefault(name, len(known))
        places[at] = seen.places()
    comes_next = KINDS.index("next")
    is_followed = is_text[:-1] & is_text[1:]
    for at in np.flatnonzero(is_followed).tolist():
        name, known = texts[tokens[at + 1]], numbers[comes_next]
        group[comes_next, at] = known.setdefault(name, len(known))
    first, what = [0], []
    for kind, known in enumerate(numbers):
        group[kind, group[kind] >= 0] += first[-1]
        what += known
        first.append(len(what))
    entries: list[NDArray[np.int64]] = []

    def add(own: NDArray[np.int64], called: Iterable[str]) -> None:
        entries.append(own + [0, len(what)])
        what.extend(called)
        first.append(len(what))

    recent, known_recent = words.recent()
    add(recent, known_recent)
    n_concepts = len(concept_names)
    own = np.zeros((n, 0), np.bool_) if concepts is None else concepts[:, :n_concepts]
    following = own if concepts is None else concepts[:, n_concepts:]
    add(np.argwhere(own), concept_names)
    add(np.argwhere(following), concept_names)
    add(words.near(own), concept_names)
    add(np.argwhere(places), PLACES)
    row, column = np.concatenate(entries).T
    many_first = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n), out=many_first[1:])
    many = column[np.argsort(row, kind="stable")].astype(np.int32)
    is_learnt, is_scored = _halves(is_text, chunks.shape[1])
    learnt_in, scored_in = (
        _windows(half, chunks.shape[1]) for half in (is_learnt, is_scored)
    )
    return Surroundings(
        *(group, many_first, many, learnt_in, scored_in, is_scored, first, what)
    )


class _Words:
    """The words of all texts, one after the other, and where they stand."""

    def __init__(self, n: int) -> None:
        self._names: list[str] = []
        self._ends: list[int] = []
        self._first = 0
        # Of each of n tokens its word, and the first one of its text.
        self._own, self._begin = np.full((2, n), -1, np.int64)

    def begin_text(self) -> None:
        self._first = len(self._names)

    def read(self, seen: "_Reader", at: int) -> None:
        """`seen` has read the token `at`."""
        if not seen.is_inside_word:
            self._names.append("")
            self._ends.append(at)
        self._names[-1], self._ends[-1] = seen.word, at
        self._own[at], self._begin[at] = len(self._names) - 1, self._first

    def _before(self) -> NDArray[np.int64]:
        """The `N_RECENT` words before each token's own [n, N_RECENT]; -1 for none."""
        before = self._own[:, None] - np.arange(1, N_RECENT + 1)
        return np.where(before >= self._begin[:, None], before, -1)

    def recent(self) -> tuple[NDArray[np.int64], list[str]]:
        """(token, which word) for the words before, each once; and the words."""
        known: dict[str, int] = {}
        number = [
            known.setdefault(name, len(known)) if name[-1:].isalnum() else -1
            for name in self._names
        ]
        # The last is what -1 stands for.
        which = np.array([*number, -1])[self._before()]
        which.sort(axis=1)
        which[:, 1:][which[:, 1:] == which[:, :-1]] = -1
        at, column = np.nonzero(which >= 0)
        return np.stack([at, which[at, column]], 1), list(known)

    def near(self, own: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(token, concept) for the concepts [n, n_concepts] of the words before, which
        are those of their last tokens."""
        from scipy.sparse import csr_array

        before = self._before()
        at, column = np.nonzero(before >= 0)
        ends = np.array(self._ends)[before[at, column]]
        of_ends = csr_array((np.ones(len(at), np.int8), (at, ends)), (len(own),) * 2)
        found: Any = of_ends @ csr_array(own.astype(np.int8))
        found.sort_indices()
        return np.stack(found.nonzero(), 1).astype(np.int64)


class _Reader:
    """Where in a text one is, a token after the other."""

    def __init__(self) -> None:
        self.word = self.before = self.two_before = ""
        self.in_speech = False
        self.is_inside_word = self.is_again = self.has_comma = False
        self.sentence, self.place, self.n = 0, -1, -1
        self._seen: set[int] = set()
        self._ended = False

    def read(self, text: str, token: int) -> None:
        own = text.strip() or text
        self.n += 1
        joins = text[:1].isalnum() or (text[:1] == "'" and len(text) > 1)
        self.is_inside_word = joins and self.word[-1:].isalnum()
        if self.is_inside_word:
            self.word += own
        else:
            if self.word:
                self.two_before, self.before = self.before, self.word
            self.word = own
        is_word = own[-1:].isalnum()
        if self._ended and is_word:
            self._ended, self.has_comma = False, False
            self.sentence, self.place = self.sentence + 1, -1
        if is_word and not self.is_inside_word:
            self.place += 1
        for letter in own:
            if letter == '"':
                self.in_speech = not self.in_speech
            elif letter in _OPENS:
                self.in_speech = True
            elif letter in _CLOSES:
                self.in_speech = False
            elif letter in _ENDS:
                self._ended = True
            elif letter == ",":
                self.has_comma = True
        if "\n" in text:
            self._ended, self.in_speech = True, False
        self.is_again = token in self._seen
        self._seen.add(token)

    def places(self) -> tuple[bool, ...]:
        """Which of `PLACES` one is in."""
        return (
            self.in_speech,
            not self.in_speech,
            self.is_again,
            not self.is_again,
            self.place <= 0,
            self.place > 0,
            self.sentence == 0,
            self.sentence > 0,
            self.has_comma,
            self.is_inside_word,
            self.n < _FIRST_TOKENS,
        )


def _shape(seen: _Reader) -> str:
    word = seen.word
    if word.isdigit():
        return "number"
    if not word[-1:].isalnum():
        return "punctuation"
    if word[:1].isupper() and seen.place > 0:
        return "capital"
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) >= len(suffix) + _LEAST_STEM:
            return suffix
    return "capital_first" if word[:1].isupper() else "word"


def _halves(
    is_text: NDArray[np.bool_], context_size: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Learnt from and scored on in turns of some contexts that follow each other, so
    that few texts are cut in two; of a short text the first half and the second."""
    chunk = np.arange(len(is_text)) // context_size
    n_chunks = len(is_text) // context_size
    turn = min(_CONTEXTS_A_TURN, max(1, n_chunks // 2))
    is_learnt = chunk // turn % 2 == 0
    return is_text & is_learnt, is_text & ~is_learnt


def _windows(half: NDArray[np.bool_], context_size: int) -> NDArray[np.int32]:
    """Contexts of at most `WINDOW` tokens; one with less than half of them is none."""
    chunk, within = np.divmod(np.arange(len(half)), context_size)
    window = chunk * -(-context_size // WINDOW) + within // WINDOW
    n_tokens = np.bincount(window, half)
    least = min(WINDOW, context_size) / 2
    kept = half & (n_tokens[window] >= least)
    _, number = np.unique(window[kept], return_inverse=True)
    numbered = np.full(len(window), -1, np.int32)
    numbered[kept] = number
    return numbered
