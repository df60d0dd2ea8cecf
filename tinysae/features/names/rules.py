"""For every feature a short rule over what a reader sees, and how well it tells.

A rule is any of a few clauses, a clause all of a few conditions: "one of these words,
soon after one of those, inside speech". It is learnt on one half of an index's text and
scored on the other.

Detection follows Paulo et al. 2024, "Automatically Interpreting Millions of Features in
Large Language Models" (arXiv:2410.13928; the library is delphi): from the explanation
alone, contexts of 32 tokens in which the feature fires at all are told from those in
which it does not; the score is balanced accuracy. There a language model is shown as
many contexts of every tenth of the feature's strengths; a rule tells every context, the
weakest too, so nothing is sampled.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.features.names.surroundings import (
    KINDS,
    MANY_KINDS,
    Surroundings,
)

if TYPE_CHECKING:
    from tinysae.features.index.pair_store import Band, PairStore

ALL_KINDS: Final = (*KINDS, *MANY_KINDS)
N_CLAUSES: Final = 3
N_CONDITIONS: Final = 3
MOST_GROUPS: Final = 48
"""Groups that a condition may consist of; and, below, that are told to a reader."""
MOST_TOLD: Final = 6
MAX_WHAT: Final = 40
"""Characters of one word or phrase that is told."""
F1_SHARE: Final = 0.3
"""Of what makes a rule the best; the rest is how well it detects contexts."""
CONDITION_COST: Final = 0.003
MIN_GAIN: Final = 0.005

# Families in the order in which they are told.
_TOLD: Final = (0, 4, 1, 2, 3)


class _Kind(NamedTuple):
    """family: a clause has one condition of each. cost: what a condition has to gain by
    being of a kind that is harder to see; a concept says more than its words. unites:
    of how many groups a condition may be, where a token is in several."""

    family: int
    cost: float = 0.0
    unites: int = 0


_KINDS: Final = {
    "token": _Kind(0),
    "word": _Kind(0),
    "phrase": _Kind(0, 0.03),
    "shape": _Kind(0, 0.01),
    "fires_on": _Kind(0, -0.03, 3),
    "after": _Kind(1, 0.02),
    "before": _Kind(2, 0.03),
    "recent": _Kind(3, 0.03, 8),
    "near": _Kind(3, 0.02, 3),
    "next": _Kind(4, 0.02),
    "about_to": _Kind(4, -0.02, 3),
    "place": _Kind(5, 0.01, 1),
}
# So few that the densest, which take longest, are not all one thread's; and so many
# bands that others go on beside them.
_FEATURES_AT_ONCE: Final = 16
_BANDS_A_THREAD: Final = 4
# A feature that fires this often is learnt from a part of the contexts: thousands of
# its firings are left, and what it takes grows with them.
MANY_FIRINGS: Final = 16_000
THINNED: Final = 4


@dataclass(frozen=True)
class Condition:
    """A part of a clause, as data; untrusted texts.

    kind: one of `ALL_KINDS`. what: the words, phrases, concepts or the place it is
    about, those with the most firings first, at most `MOST_TOLD` of n.
    """

    kind: str
    what: tuple[str, ...]
    n: int


@dataclass(frozen=True)
class Clause(Condition):
    """A part of a rule: what it is about, the words themselves if possible (kind, what,
    n); where (place: one of `PLACES`, or anywhere); what else is to hold (given)."""

    place: str = "anywhere"
    given: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A feature's rule with its scores on the half that it was not learnt on.

    clauses: none where nothing was found. detection: balanced accuracy on contexts;
    None where the feature fires in none of them, or in all. f1: of its firing, token by
    token. correlation: of the rule with the feature's strength.
    """

    clauses: tuple[Clause, ...] = ()
    detection: float | None = None
    f1: float | None = None
    correlation: float | None = None


def rules_of(
    store: "PairStore", text: Surroundings, tell: Callable[[float], object]
) -> list[Rule]:
    """A rule for every feature of which `store` has what fires on `text`; `tell` hears
    which share of them it has come to, and what it raises ends the learning."""
    d_sae = len(store.shards[0].first) - 1

    def bands() -> Iterator["Band"]:
        for begin in range(0, d_sae, _FEATURES_AT_ONCE):
            tell(begin / d_sae)
            yield store.band(begin, min(begin + _FEATURES_AT_ONCE, d_sae))

    return list(learnt(bands(), text))


class _Half(NamedTuple):
    """What `rule_kernels.learn` is told of the tokens to learn from."""

    window: NDArray[np.int32]
    n_tokens: NDArray[np.int64]
    n_contexts: NDArray[np.int64]
    first: NDArray[np.int64]
    tokens: NDArray[np.int32]
    context_first: NDArray[np.int64]
    context_groups: NDArray[np.int32]

    @classmethod
    def of(cls, text: Surroundings, seen: "_Seen", every: int) -> "_Half":
        """Of the contexts to learn from one in `every`."""
        is_kept = (text.learnt_in >= 0) & (text.learnt_in % every == 0)
        window = np.where(is_kept, text.learnt_in // every, -1).astype(np.int32)
        first, tokens = _tokens_of_groups(text, seen, is_kept)
        n_tokens = np.diff(first)
        group = np.repeat(np.arange(len(n_tokens), dtype=np.int32), n_tokens)
        # A group's tokens are in the text's order, so that those of one context follow
        # each other.
        context = window[tokens]
        is_new = np.append(True, np.diff(context) != 0)[: len(context)]
        is_new[first[:-1][n_tokens > 0]] = True
        context, group = context[is_new], group[is_new]
        order = np.argsort(context, kind="stable")
        n_windows = int(window.max(initial=-1)) + 1
        return cls(
            *(window, n_tokens, np.bincount(group, minlength=len(n_tokens))),
            *(first, tokens),
            *(_first(context, n_windows), group[order]),
        )


class _Seen(NamedTuple):
    """The groups of every token t: group[first[t] : first[t + 1]]."""

    first: NDArray[np.int64]
    group: NDArray[np.int32]

    @classmethod
    def of(cls, text: Surroundings) -> "_Seen":
        n_tokens = text.group.shape[1]
        at = np.arange(n_tokens, dtype=np.int32)
        at = np.concatenate(
            [np.tile(at, len(text.group)), np.repeat(at, np.diff(text.many_first))]
        )
        group = np.concatenate([*text.group, text.many])
        at, group = at[group >= 0], group[group >= 0]
        return cls(_first(at, n_tokens), group[np.argsort(at, kind="stable")])


def learnt(bands: Iterable["Band"], text: Surroundings) -> Iterator[Rule]:
    """A rule for every feature of the bands, in their order."""
    import torch

    from tinysae.features.names import rule_kernels, score_kernels

    seen = _Seen.of(text)
    kinds = (
        np.repeat(np.arange(len(ALL_KINDS), dtype=np.int32), np.diff(text.first)),
        np.array([_KINDS[kind].cost for kind in ALL_KINDS]),
        np.array([_KINDS[kind].family for kind in ALL_KINDS]),
        np.array([kind != "place" for kind in ALL_KINDS]),
        np.array([_KINDS[kind].unites for kind in ALL_KINDS]),
    )
    # By whether a feature fires that often.
    halves = (_Half.of(text, seen, 1), _Half.of(text, seen, THINNED))
    scored_on = _tokens_of_groups(text, seen, text.is_scored)
    n_windows = int(text.scored_in.max(initial=-1)) + 1
    n_scored = int(text.is_scored.sum())

    def of_band(band: "Band") -> list[Rule]:
        n = len(band.first) - 1
        kind, size = np.zeros((2, n, N_CLAUSES, N_CONDITIONS), np.int32)
        groups, hits = np.zeros((2, *kind.shape, MOST_GROUPS), np.int32)
        strength = np.zeros((n, N_CLAUSES))
        is_dense = np.diff(band.first) > MANY_FIRINGS
        edges = np.flatnonzero(np.diff(is_dense)) + 1
        for begin, end in pairwise([0, *edges.tolist(), n]):
            rule_kernels.learn(
                *(band.first[begin : end + 1], band.position, band.value),
                *(tuple(seen), tuple(halves[int(is_dense[begin])]), kinds),
                (F1_SHARE, CONDITION_COST, MIN_GAIN),
                tuple(each[begin:end] for each in (kind, size, groups, hits, strength)),
            )
        figures = np.zeros((n, 8))
        score_kernels.score(
            *(band.first, band.position, band.value, tuple(seen)),
            *((text.is_scored, text.scored_in, n_windows), scored_on),
            *((size, groups), figures),
        )
        sums = _sums(band, text.is_scored)
        rules: list[Rule] = []
        for j in range(n):
            clauses = [
                _clause(
                    [
                        _condition(text, kind[at], groups[at][:m], hits[at][:m])
                        for at in ((j, c, part) for part in range(N_CONDITIONS))
                        if (m := size[at])
                    ]
                )
                # What it is strongest on comes first.
                for c in np.argsort(-strength[j], kind="stable").tolist()
                if size[j, c, 0]
            ]
            scores = _scores(figures[j].tolist(), sums[j], n_windows, n_scored)
            rules.append(Rule(tuple(clauses), **(scores if clauses else {})))
        return rules

    # The loops let go of the interpreter: a thread a core. No more bands are read than
    # are learnt from at once or wait for one that takes long, for they are large.
    n_threads = torch.get_num_threads()
    waiting: deque[Future[list[Rule]]] = deque()
    with ThreadPoolExecutor(n_threads, "rules") as threads:
        for band in bands:
            waiting.append(threads.submit(of_band, band))
            if len(waiting) == n_threads * _BANDS_A_THREAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def try_rules() -> None:
    """Learns a rule of nothing, so that the loops are compiled: seconds, the first time
    on a machine."""
    from tinysae.features.index.pair_store import Band
    from tinysae.features.names.surroundings import WINDOW, surroundings
    from tinysae.model.text.vocabulary import Vocabulary

    vocabulary = Vocabulary([b"", b"a"])
    text = surroundings(np.ones((4, WINDOW), np.int32), vocabulary, 0)
    band = Band(0, np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32))
    list(learnt([band], text))


def _tokens_of_groups(
    text: Surroundings, seen: _Seen, is_kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Group by group the kept tokens in it: [n_groups + 1], and their places."""
    at = np.repeat(np.arange(len(is_kept), dtype=np.int32), np.diff(seen.first))
    at, group = at[is_kept[at]], seen.group[is_kept[at]]
    order = np.argsort(group, kind="stable")
    return _first(group, len(text.what)), at[order]


def _first(number: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """[n + 1]: where each of n numbers begins, once all are in order."""
    return np.append(0, np.cumsum(np.bincount(number, minlength=n)))


def _sums(band: "Band", is_scored: NDArray[np.bool_]) -> list[float]:
    value = np.where(is_scored[band.position], band.value, 0).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(value)])
    return (total[band.first[1:]] - total[band.first[:-1]]).tolist()


def _condition(
    text: Surroundings, kind: int, groups: NDArray[np.int32], hits: NDArray[np.int32]
) -> Condition:
    told = groups[np.argsort(-hits, kind="stable")][:MOST_TOLD]
    what = tuple(text.what[group][:MAX_WHAT] for group in told.tolist())
    return Condition(ALL_KINDS[kind], what, len(groups))


def _clause(conditions: list[Condition]) -> Clause:
    """What a child sees first comes first: the word itself, then what is about it."""
    place = [each.what[0] for each in conditions if each.kind == "place"]
    others = [each for each in conditions if each.kind != "place"]
    # Of the others what says most was learnt first.
    head = min(others, key=lambda each: _TOLD.index(_KINDS[each.kind].family))
    given = [each for each in others if each is not head]
    said = (head.kind, head.what, head.n)
    return Clause(*said, *(place or ["anywhere"]), given=tuple(given))


def _scores(
    figures: list[float], total: float, n_windows: int, n_tokens: int
) -> dict[str, float | None]:
    right, told, active, both, told_in, active_in, told_sum, squares = figures
    detection = None
    if 0 < active_in < n_windows:
        found = both / active_in
        left_alone = 1 - (told_in - both) / (n_windows - active_in)
        detection = (found + left_alone) / 2
    f1 = 2 * right / (told + active) if active else None
    # Pearson's, of what is 0 or 1 with the activation.
    shared = n_tokens * told_sum - told * total
    spread = (told * (n_tokens - told)) * (n_tokens * squares - total * total)
    correlation = shared / spread**0.5 if spread > 0 else None
    return {"detection": detection, "f1": f1, "correlation": correlation}
