"""What a reader sees at every token of a text, as numbers that a rule can be made of.

A token stands in *groups*, one of each `KIND` (this word, the word before, the token
that comes next, ...), in as many storybook concepts as it has, and in *places* (inside
speech, said before, ...). A rule is "one of these groups, in this place".
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.model.text.vocabulary import Vocabulary

KINDS: Final = ("any", "token", "word", "after", "phrase", "next", "shape", "before")
"""The groups of a token. any: all tokens are one. token: itself. word: what its word is
up to here. after: the word before. phrase: both. next: the token that comes next.
shape: its word's class, by spelling. before: the word before the one before."""
CONCEPT_KINDS: Final = ("fires_on", "about_to")
MANY_KINDS: Final = ("recent", "concept")
"""Kinds of which a token is in several groups. recent: one of the `N_RECENT` words
before its own. concept: either of `CONCEPT_KINDS`."""
N_RECENT: Final = 8
PLACES: Final = (
    "anywhere",
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
    places [n]: a bit for each of `PLACES`. is_learnt, is_scored [n]: which half of the
    text it is in (BOS is in neither). window [n]: the context of the scored half that
    it is in, -1 for none. first [all kinds + 1]: where each kind's groups begin, and
    where the last end. what: what each group is called.
    """

    group: NDArray[np.int32]
    many_first: NDArray[np.int64]
    many: NDArray[np.int32]
    places: NDArray[np.uint32]
    is_learnt: NDArray[np.bool_]
    is_scored: NDArray[np.bool_]
    window: NDArray[np.int32]
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
        concepts: which of the concepts every token is an example of, [n, n_concepts].
        concept_names: what those are called.
    """
    tokens = chunks.ravel()
    n = len(tokens)
    is_text = tokens != bos_id
    numbers: list[dict[str, int]] = [{} for _ in KINDS]
    group = np.full((len(KINDS), n), -1, np.int32)
    places = np.zeros(n, np.uint32)
    seen = _Reader()
    recent: list[tuple[int, int]] = []
    known_recent: dict[str, int] = {}
    texts = [vocabulary.text(token) for token in range(len(vocabulary))]
    bit = {place: 1 << at for at, place in enumerate(PLACES)}
    for at, token in enumerate(tokens.tolist()):
        if token == bos_id:
            seen = _Reader()
            continue
        seen.read(texts[token], token)
        names = (
            "",
            texts[token],
            seen.word,
            seen.words[-1],
            f"{seen.words[-1]} {seen.word}" if seen.words[-1] else "",
            None,
            _shape(seen),
            seen.words[-2],
        )
        for kind, name in enumerate(names):
            if name is not None and (name or kind == 0):
                known = numbers[kind]
                group[kind, at] = known.setdefault(name, len(known))
        bits = bit["anywhere"]
        for place, is_there in seen.places().items():
            if is_there:
                bits |= bit[place]
        places[at] = bits
        for word in {word for word in seen.words if word[-1:].isalnum()}:
            recent.append((at, known_recent.setdefault(word, len(known_recent))))
    following = KINDS.index("next")
    is_followed = is_text[:-1] & is_text[1:]
    for at in np.flatnonzero(is_followed).tolist():
        name, known = texts[tokens[at + 1]], numbers[following]
        group[following, at] = known.setdefault(name, len(known))
    first, what = [0], []
    for kind, known in enumerate(numbers):
        group[kind, group[kind] >= 0] += first[-1]
        what += known
        first.append(len(what))
    row, column = np.asarray(recent, np.int64).reshape(-1, 2).T
    column += len(what)
    what += known_recent
    first.append(len(what))
    if concepts is not None:
        at, concept = np.nonzero(concepts)
        row, column = np.append(row, at), np.append(column, concept + len(what))
        what += concept_names
    first.append(len(what))
    many_first = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n), out=many_first[1:])
    many = column[np.argsort(row, kind="stable")].astype(np.int32)
    is_learnt, is_scored = _halves(is_text, chunks.shape[1])
    window = _windows(is_scored, chunks.shape[1])
    return Surroundings(
        *(group, many_first, many, places, is_learnt, is_scored, window),
        *(first, what),
    )


class _Reader:
    """Where in a text one is, a token after the other."""

    def __init__(self) -> None:
        self.word = ""
        self.words = [""] * N_RECENT
        self.in_speech = False
        self.is_inside_word = self.is_again = self.has_comma = False
        self.sentence, self.place, self.n = 0, -1, -1
        self._seen: set[int] = set()
        self._ended = False

    def read(self, text: str, token: int) -> None:
        own = text.strip() or text
        self.n += 1
        before = self.word[-1:]
        joins = text[:1].isalnum() or (text[:1] == "'" and len(text) > 1)
        self.is_inside_word = joins and before.isalnum()
        if self.is_inside_word:
            self.word += own
        else:
            if self.word:
                self.words = [*self.words[1:], self.word]
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

    def places(self) -> dict[str, bool]:
        return {
            "in_speech": self.in_speech,
            "outside_speech": not self.in_speech,
            "said_again": self.is_again,
            "first_time": not self.is_again,
            "first_in_sentence": self.place <= 0,
            "not_first_in_sentence": self.place > 0,
            "first_sentence": self.sentence == 0,
            "later_sentence": self.sentence > 0,
            "after_comma": self.has_comma,
            "inside_word": self.is_inside_word,
            "first_in_text": self.n < _FIRST_TOKENS,
        }


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


def _windows(is_scored: NDArray[np.bool_], context_size: int) -> NDArray[np.int32]:
    """Contexts of at most `WINDOW` tokens; one with less than half of them is none."""
    chunk, within = np.divmod(np.arange(len(is_scored)), context_size)
    window = chunk * -(-context_size // WINDOW) + within // WINDOW
    n_scored = np.bincount(window, is_scored)
    least = min(WINDOW, context_size) / 2
    kept = is_scored & (n_scored[window] >= least)
    _, number = np.unique(window[kept], return_inverse=True)
    numbered = np.full(len(window), -1, np.int32)
    numbered[kept] = number
    return numbered
