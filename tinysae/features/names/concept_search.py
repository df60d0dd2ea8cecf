"""The search for the features that read each of the storybook's concepts best."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook.words import CONCEPTS
from tinysae.features.names.concept_tokens import (
    ConceptTokens,
    FeaturePairs,
    concept_tokens,
    counted_targets,
    encoded,
    feature_pairs,
    hooked,
    target_name,
)
from tinysae.features.names.concepts import (
    ConceptReport,
    ConceptResult,
    Detector,
    FeatureAt,
    Score,
    score,
)
from tinysae.features.names.f1_kernels import best_addition, best_singles

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

MAX_FEATURES: Final = 3
ROUNDS: Final = 3
"""How often each of a concept's features is chosen again beside the others."""


class FeatureScores(NamedTuple):
    """Each feature's best target where features are chosen, scored elsewhere.

    target [d_sae] (as the columns of `ConceptTokens.labels`), -1 for a feature with
    none; precision, recall and f1 [d_sae].
    """

    target: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


class ConceptSearch:
    """Finds what reads each concept best.

    Args:
        choosing: tokens on which features and thresholds are chosen.
        choosing_pairs: what fires on them.
        reporting: other tokens, on which scores are counted.
        reporting_pairs: what fires on those.
    """

    def __init__(
        self,
        choosing: ConceptTokens,
        choosing_pairs: FeaturePairs,
        reporting: ConceptTokens,
        reporting_pairs: FeaturePairs,
    ) -> None:
        self._choosing, self._chosen_from = choosing, choosing_pairs
        self._reporting, self._reported_from = reporting, reporting_pairs
        row, target = np.nonzero(choosing.labels)
        counts = np.bincount(row, minlength=len(choosing.labels))
        self._n_positive = choosing.labels.sum(0)
        self._f1, self._threshold, self._hits = best_singles(
            *choosing_pairs,
            np.concatenate([[0], np.cumsum(counts)]),
            target.astype(np.int32),
            self._n_positive,
        )
        self.counted = counted_targets(choosing, reporting)

    def features(self) -> FeatureScores:
        """The best target of each feature by itself."""
        f1 = np.zeros_like(self._f1)
        f1[:, self.counted] = self._f1[:, self.counted]
        target = f1.argmax(1)
        target[f1.max(1, initial=0) == 0] = -1
        scores = np.zeros((len(target), 3))
        for feature in np.flatnonzero(target >= 0):
            best = target[feature]
            at = FeatureAt(int(feature), float(self._threshold[feature, best]))
            scores[feature] = self._score(best, [at])
        return FeatureScores(target, *scores.T)

    def best(self, target: int, n_features: int) -> tuple[list[FeatureAt], float]:
        """At most `n_features` features for a target, and their F1 where chosen.

        Greedily, starting from the best one; then each of them is chosen again beside
        the others, `ROUNDS` times or until nothing changes.
        """
        feature = int(self._f1[:, target].argmax())
        best = float(self._f1[feature, target])
        chosen = [FeatureAt(feature, float(self._threshold[feature, target]))]
        if best == 0:
            return [], 0.0
        if n_features == 1:
            return chosen, best
        hits = np.ascontiguousarray(self._hits[:, target])
        candidates = np.argsort(-hits, kind="stable")
        candidates = candidates[hits[candidates] > 0]
        is_positive = self._choosing.labels[:, target].astype(np.int8)
        covered = np.zeros(len(is_positive), dtype=np.int8)
        covered[self._firing(self._chosen_from, chosen[0])] += 1

        def add() -> bool:
            nonlocal best
            number, threshold, f1 = best_addition(
                *self._chosen_from,
                *(candidates, hits, is_positive, covered, self._n_positive[target]),
            )
            if number < 0:
                return False
            chosen.append(FeatureAt(int(number), float(threshold)))
            covered[self._firing(self._chosen_from, chosen[-1])] += 1
            best = float(f1)
            return True

        while len(chosen) < n_features and add():
            pass
        for _ in range(ROUNDS):
            before = set(chosen)
            for _ in range(len(chosen)):
                covered[self._firing(self._chosen_from, chosen.pop(0))] -= 1
                add()
            while len(chosen) < n_features and add():
                pass
            if set(chosen) == before:
                break
        return chosen, best

    def detector(self, target: int, features: Sequence[FeatureAt]) -> Detector:
        """The features with their score on the reporting tokens."""
        _, reading = target_name(target)
        return Detector(reading, tuple(features), self._score(target, features))

    def _score(self, target: int, features: Sequence[FeatureAt]) -> Score:
        fires = np.zeros(len(self._reporting.labels), dtype=np.bool_)
        for one in features:
            fires[self._firing(self._reported_from, one)] = True
        return score(fires, self._reporting.labels[:, target])

    @staticmethod
    def _firing(pairs: FeaturePairs, at: FeatureAt) -> NDArray[np.int32]:
        """The tokens on which a feature reaches its threshold."""
        part = slice(pairs.first[at.feature], pairs.first[at.feature + 1])
        n = np.searchsorted(-pairs.value[part], -np.float32(at.threshold), side="right")
        return pairs.token[part][:n]

    def results(
        self, progress: Callable[[int, int], object] | None = None
    ) -> tuple[ConceptResult, ...]:
        """Every concept with examples enough of either reading."""
        names = tuple(CONCEPTS)
        counted = self.counted.tolist()
        numbers = sorted({target % len(names) for target in counted})
        results: list[ConceptResult] = []
        for done, number in enumerate(numbers, 1):
            targets = [at for at in counted if at % len(names) == number]
            singles = [(*self.best(target, 1), target) for target in targets]
            several = [(*self.best(target, MAX_FEATURES), target) for target in targets]
            chosen, _, target = max(singles, key=_by_f1)
            single = self.detector(target, chosen)
            chosen, _, target = max(several, key=_by_f1)
            results.append(
                ConceptResult(
                    names[number],
                    int(self._reporting.labels[:, target].sum()),
                    single,
                    self.detector(target, chosen),
                    tuple(self.detector(at, chosen) for chosen, _, at in several),
                )
            )
            if progress is not None:
                progress(done, len(numbers))
        return tuple(results)


def _by_f1(choice: tuple[list[FeatureAt], float, int]) -> float:
    return choice[1]


def concept_scores(
    sae: "SAE",
    model: "LoadedModel",
    choosing: NDArray[np.int32],
    reporting: NDArray[np.int32],
    progress: Callable[[int, int], object] | None = None,
) -> tuple[ConceptReport, FeatureScores]:
    """What of `sae` reads each concept, and what each of its features reads.

    Args:
        sae: whose features.
        model: the model it reads.
        choosing: contexts [n, context_size] of generated stories, for the choice.
        reporting: contexts of other stories, for the scores.
        progress: hears (concepts done, concepts in all); what it raises ends it all.
    """
    token_bytes = model.vocabulary.token_bytes

    def read(chunks: NDArray[np.int32]) -> tuple[ConceptTokens, FeaturePairs]:
        tokens = concept_tokens(chunks, token_bytes, model.bos_id)
        x = hooked(model, chunks, tokens.rows, sae.hook_name)
        return tokens, feature_pairs(encoded(sae, x), sae.d_sae)

    search = ConceptSearch(*read(choosing), *read(reporting))
    n_tokens = int(choosing.size + reporting.size)
    report = ConceptReport(sae.fingerprint, n_tokens, search.results(progress))
    return report, search.features()
