"""For every feature a short rule over what a reader sees, and how well it tells.

A rule is one clause or two, each "one of these words (or words before, phrases, ...),
in this place". It is learnt on one half of an index's text and scored on the other.

Detection follows Paulo et al. 2024, "Automatically Interpreting Millions of Features in
Large Language Models" (arXiv:2410.13928; the library is delphi): from the explanation
alone, contexts of 32 tokens in which the feature fires at all are told from those in
which it does not; the score is balanced accuracy. There a language model is shown some
contexts; a rule tells every one of them, so nothing is sampled.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tinysae.features.names.surroundings import (
    CONCEPT_KINDS,
    KINDS,
    MANY_KINDS,
    PLACES,
    WINDOW,
    Surroundings,
)

if TYPE_CHECKING:
    from tinysae.features.index.pair_store import Band, PairStore
    from tinysae.model.text.vocabulary import Vocabulary

ALL_KINDS: Final = (*KINDS, *MANY_KINDS)
CLAUSE_KINDS: Final = (*KINDS, "recent", *CONCEPT_KINDS)
N_CLAUSES: Final = 3
MOST_GROUPS: Final = 48
"""Groups that a clause may consist of; and, below, that are told to a reader."""
MOST_TOLD: Final = 6
MAX_WHAT: Final = 40
"""Characters of one word or phrase that is told."""
F1_SHARE: Final = 0.25
"""Of what makes a rule the best; the rest is how well it detects contexts."""
MIN_GAIN: Final = 0.03
# What a clause has to gain by being of a kind that is harder to see; a concept says
# more than the words that it consists of.
_KIND_COST: Final = {
    "phrase": 0.03,
    "after": 0.02,
    "next": 0.02,
    "shape": 0.01,
    "before": 0.03,
    "recent": 0.03,
    "concept": -0.05,
}
_FEATURES_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Clause:
    """A part of a rule, as data; untrusted texts.

    kind: one of `CLAUSE_KINDS`. what: the words, phrases or the concept it
    is about, those with the most firings first, at most `MOST_TOLD` of n. place: one of
    `PLACES`.
    """

    kind: str
    what: tuple[str, ...]
    n: int
    place: str = "anywhere"


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


def rules_of(store: "PairStore", text: Surroundings) -> list[Rule]:
    """A rule for every feature of which `store` has what fires on `text`."""
    d_sae = len(store.shards[0].first) - 1
    begins = range(0, d_sae, _FEATURES_AT_ONCE)
    ends = (min(begin + _FEATURES_AT_ONCE, d_sae) for begin in begins)
    return list(learnt(map(store.band, begins, ends), text))


def learnt(bands: Iterable["Band"], text: Surroundings) -> Iterator[Rule]:
    """A rule for every feature of the bands, in their order."""
    from tinysae.features.names import rule_kernels

    count = np.zeros((len(PLACES), len(text.what)), np.int32)
    seen = (text.group, text.many_first, text.many, text.places)
    rule_kernels.count_groups(*seen, text.is_learnt, count)
    kind_first = np.array(text.first)
    cost = np.array([_KIND_COST.get(kind, 0.0) for kind in ALL_KINDS])
    n_contexts = max(1.0, float(text.is_learnt.sum()) / WINDOW)
    n_windows = int(text.window.max(initial=-1)) + 1
    n_scored = int(text.is_scored.sum())
    found = _tokens_of_groups(text)
    for band in bands:
        n = len(band.first) - 1
        kind, place, size = np.zeros((3, n, N_CLAUSES), np.int32)
        groups, hits = np.zeros((2, n, N_CLAUSES, MOST_GROUPS), np.int32)
        rule_kernels.learn(
            *(band.first, band.position, band.value, *seen, text.is_learnt, count),
            *(kind_first, cost, MIN_GAIN, n_contexts, F1_SHARE),
            *(kind, place, size, groups, hits),
        )
        figures = np.zeros((n, 8))
        rule_kernels.score(
            *(band.first, band.position, band.value),
            *(text.is_scored, text.window, n_windows, text.places),
            *(*found, place, size, groups, N_CLAUSES, figures),
        )
        sums = _sums(band, text.is_scored)
        for j in range(n):
            clauses = [
                _clause(text, kind[j, c], place[j, c], groups[j, c, :m], hits[j, c, :m])
                for c, m in enumerate(size[j].tolist())
                if m
            ]
            scores = _scores(figures[j].tolist(), sums[j], n_windows, n_scored)
            yield Rule(tuple(clauses), **(scores if clauses else {}))


def _tokens_of_groups(text: Surroundings) -> tuple[NDArray[Any], NDArray[Any]]:
    """Group by group the tokens in it: [n_groups + 1], and their places."""
    n = text.group.shape[1]
    at = np.concatenate(
        [
            np.tile(np.arange(n, dtype=np.int32), len(text.group)),
            np.repeat(np.arange(n, dtype=np.int32), np.diff(text.many_first)),
        ]
    )
    group = np.concatenate([*text.group, text.many])
    order = np.argsort(group, kind="stable")
    order = order[np.searchsorted(group[order], 0) :]
    first = np.searchsorted(group[order], np.arange(len(text.what) + 1))
    return first, at[order]


def _sums(band: "Band", is_scored: NDArray[np.bool_]) -> list[float]:
    value = np.where(is_scored[band.position], band.value, 0).astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(value)])
    return (total[band.first[1:]] - total[band.first[:-1]]).tolist()


def _clause(
    text: Surroundings,
    kind: int,
    place: int,
    groups: NDArray[np.int32],
    hits: NDArray[np.int32],
) -> Clause:
    told = groups[np.argsort(-hits, kind="stable")][:MOST_TOLD]
    what = [text.what[group] for group in told.tolist()]
    name = ALL_KINDS[kind]
    if name == "concept":
        # A concept is called by how it is read and which it is.
        name, _, what[0] = what[0].partition(":")
    cut = tuple(each[:MAX_WHAT] for each in what)
    return Clause(name, cut, len(groups), PLACES[place])


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


def concept_names() -> list[str]:
    """What `surroundings` calls the columns of `ConceptTokens.labels`."""
    from tinysae.data.storybook.words import CONCEPTS

    return [f"{kind}:{concept}" for kind in CONCEPT_KINDS for concept in CONCEPTS]


class RuleLearner:
    """Learns the rules from what an index is made of, before that is thrown away.

    Args:
        vocabulary, bos_id: the model's.
        has_concepts: whether the text is the storybook, whose concepts are known.

    Attributes:
        rules: one a feature, after it was called.
    """

    def __init__(
        self, vocabulary: "Vocabulary", bos_id: int, *, has_concepts: bool = False
    ) -> None:
        self._vocabulary, self._bos_id = vocabulary, bos_id
        self._has_concepts = has_concepts
        self.rules: list[Rule] = []

    def __call__(self, store: "PairStore") -> None:
        self.rules = rules_of(store, self.read(store))

    def read(self, store: "PairStore") -> Surroundings:
        """What a reader sees in the text that `store` has."""
        from tinysae.features.names.concept_tokens import concept_tokens
        from tinysae.features.names.surroundings import surroundings

        chunks = np.concatenate([shard.tokens for shard in store.shards])
        concepts, names = None, []
        if self._has_concepts:
            names = concept_names()
            own = concept_tokens(chunks, self._vocabulary.token_bytes, self._bos_id)
            concepts = np.zeros((chunks.size, len(names)), np.bool_)
            concepts[own.rows] = own.labels
        return surroundings(chunks, self._vocabulary, self._bos_id, concepts, names)
