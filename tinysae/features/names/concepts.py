"""Which features read the storybook's concepts, and how well.

Every word of a generated story carries the concepts it stands for. A feature may *fire
on* a concept (the token belongs to such a word) or be *about to* name it (such a word
begins with the next token). Features and thresholds are chosen on one set of held-out
stories; precision, recall and F1 are counted on another. What fires is every token on
which one of at most `MAX_FEATURES` features reaches its threshold: an SAE often splits
a concept by context.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook import CONCEPTS, begun_concepts, token_concepts, word_spans
from tinysae.errors import DamagedError
from tinysae.jobs.files import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

Reading = Literal["fires_on", "about_to"]
READINGS: Final[tuple[Reading, ...]] = get_args(Reading)
CONCEPTS_NAME: Final = "concepts.json"
FORMAT: Final = 1
MAX_FEATURES: Final = 3
FOUND_AT: Final = 0.8
"""The F1 from which a concept counts as found."""
MIN_EXAMPLES: Final = 50
"""A concept counts when either set of stories has so many examples of it: a recall of
fewer is known to less than 0.06 (one standard error at 0.8)."""
ROUNDS: Final = 3
"""How often each of a concept's features is chosen again beside the others."""
CONTEXTS_AT_ONCE: Final = 32
ROWS_AT_ONCE: Final = 512


class FeatureAt(NamedTuple):
    """A feature, and the activation from which it counts as firing."""

    feature: int
    threshold: float


class Score(NamedTuple):
    """How well a set of tokens is told apart, counted on the reporting stories."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Detector:
    """Features that read a concept together: any of them firing is enough."""

    reading: Reading
    features: tuple[FeatureAt, ...]
    score: Score


@dataclass(frozen=True)
class ConceptResult:
    """What reads one concept best.

    n_examples: tokens of the reporting stories to be found by `together`. single and
    together: by one feature and by up to three, with whichever reading was the better
    one where features were chosen. readings: up to three, for either reading that has
    examples enough.
    """

    concept: str
    n_examples: int
    single: Detector
    together: Detector
    readings: tuple[Detector, ...]


@dataclass(frozen=True)
class ConceptReport:
    """Every concept that occurs often enough, in the storybook's order."""

    sae_fingerprint: str
    n_tokens: int
    concepts: tuple[ConceptResult, ...]

    @property
    def found(self) -> float:
        """Share of the concepts that at most three features read with F1 >= 0.8."""
        return self._share([result.together for result in self.concepts])

    @property
    def found_single(self) -> float:
        """Share of the concepts that one feature alone reads so well."""
        return self._share([result.single for result in self.concepts])

    @staticmethod
    def _share(detectors: Sequence[Detector]) -> float:
        if not detectors:
            return 0.0
        return sum(d.score.f1 >= FOUND_AT for d in detectors) / len(detectors)


class ConceptTokens(NamedTuple):
    """Tokens with what they are examples of.

    tokens [n]: ids. rows [n]: where each was among all tokens read. labels [n, 2 *
    n_concepts]: first "fires on" for each of `CONCEPTS`, then "about to".
    """

    tokens: NDArray[np.int32]
    rows: NDArray[np.int64]
    labels: NDArray[np.bool_]


def counted_targets(
    choosing: ConceptTokens, reporting: ConceptTokens
) -> NDArray[np.int64]:
    """The columns of `labels` with `MIN_EXAMPLES` in both sets of stories."""
    enough = [tokens.labels.sum(0) >= MIN_EXAMPLES for tokens in (choosing, reporting)]
    return np.flatnonzero(enough[0] & enough[1])


class FeaturePairs(NamedTuple):
    """Non-zero activations feature by feature, strongest first.

    first [n_features + 1]; token [n]: the row in `ConceptTokens`; value [n] > 0.
    """

    first: NDArray[np.int64]
    token: NDArray[np.int32]
    value: NDArray[np.float32]


class FeatureScores(NamedTuple):
    """Each feature's best target where features are chosen, scored elsewhere.

    target [d_sae] (as the columns of `ConceptTokens.labels`), -1 for a feature with
    none; precision, recall and f1 [d_sae].
    """

    target: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def target_name(target: int) -> tuple[str, Reading]:
    """The concept and the reading of a column of `ConceptTokens.labels`."""
    reading, concept = divmod(target, len(CONCEPTS))
    return tuple(CONCEPTS)[concept], READINGS[reading]


def concept_tokens(
    chunks: NDArray[np.int32], token_bytes: Sequence[bytes], bos_id: int
) -> ConceptTokens:
    """The concepts of every token of contexts [n, context_size].

    BOS, and the last token of a context, whose next token is unknown, are left out.
    """
    names = {name: at for at, name in enumerate(CONCEPTS)}
    n_concepts = len(names)
    labels = np.zeros((*chunks.shape, 2 * n_concepts), dtype=np.bool_)
    for number, chunk in enumerate(chunks):
        starts = [*np.flatnonzero(chunk == bos_id), len(chunk)]
        for before, end in zip(starts, starts[1:], strict=False):
            start = before + 1
            pieces = [token_bytes[token] for token in chunk[start:end]]
            ends = np.cumsum([len(piece) for piece in pieces]).tolist()
            offsets = list(zip([0, *ends], ends, strict=False))
            # A byte a character, so that offsets in bytes are offsets in the text.
            spans = word_spans(b"".join(pieces).decode("latin-1"))
            for at, found in enumerate(token_concepts(spans, offsets), start):
                labels[number, at, [names[name] for name in found]] = True
            for at, found in enumerate(begun_concepts(spans, offsets), before):
                if at > before:
                    columns = [n_concepts + names[name] for name in found]
                    labels[number, at, columns] = True
    kept = chunks != bos_id
    kept[:, -1] = False
    rows = np.flatnonzero(kept.ravel())
    flat = labels.reshape(-1, 2 * n_concepts)
    return ConceptTokens(chunks.ravel()[rows], rows, flat[rows])


def feature_pairs(acts: Iterable[NDArray[np.float32]], n_features: int) -> FeaturePairs:
    """The positive entries of dense activations, given a few rows at a time.

    Equal activations of a feature stand in any order.
    """
    tokens, features, values = [], [], []
    n_rows = 0
    for part in acts:
        at = np.flatnonzero(part > 0)
        row, feature = np.divmod(at, n_features)
        tokens.append((n_rows + row).astype(np.int32))
        features.append(feature.astype(np.int32))
        values.append(part.ravel()[at])
        n_rows += len(part)
    token, feature, value = map(np.concatenate, (tokens, features, values))
    # The bits of positive floats are in the floats' order, so that one integer says
    # both; sorting by it takes an eighth of the time of `np.lexsort`.
    falling = np.uint64(2**32 - 1) - value.astype(np.float32).view(np.uint32)
    order = np.argsort(feature.astype(np.uint64) << np.uint64(32) | falling)
    counts = np.bincount(feature, minlength=n_features)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return FeaturePairs(first, token[order], value[order])


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
        from tinysae.features.names.f1_kernels import best_singles

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
        from tinysae.features.names.f1_kernels import best_addition

        feature = int(self._f1[:, target].argmax())
        best = float(self._f1[feature, target])
        found = [FeatureAt(feature, float(self._threshold[feature, target]))]
        if best == 0:
            return [], 0.0
        if n_features == 1:
            return found, best
        hits = np.ascontiguousarray(self._hits[:, target])
        candidates = np.argsort(-hits, kind="stable")
        candidates = candidates[hits[candidates] > 0]
        is_positive = self._choosing.labels[:, target].astype(np.int8)
        covered = np.zeros(len(is_positive), dtype=np.int8)
        covered[self._firing(self._chosen_from, found[0])] += 1

        def add() -> bool:
            nonlocal best
            number, threshold, f1 = best_addition(
                *self._chosen_from,
                *(candidates, hits, is_positive, covered, self._n_positive[target]),
            )
            if number < 0:
                return False
            found.append(FeatureAt(int(number), float(threshold)))
            covered[self._firing(self._chosen_from, found[-1])] += 1
            best = float(f1)
            return True

        while len(found) < n_features and add():
            pass
        for _ in range(ROUNDS):
            before = set(found)
            for _ in range(len(found)):
                covered[self._firing(self._chosen_from, found.pop(0))] -= 1
                add()
            while len(found) < n_features and add():
                pass
            if set(found) == before:
                break
        return found, best

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
                    tuple(self.detector(at, found) for found, _, at in several),
                )
            )
            if progress is not None:
                progress(done, len(numbers))
        return tuple(results)


def _by_f1(found: tuple[list[FeatureAt], float, int]) -> float:
    return found[1]


def score(fires: NDArray[np.bool_], is_positive: NDArray[np.bool_]) -> Score:
    """Precision, recall and F1 of `fires` [n] as a guess at `is_positive` [n]."""
    hits = int((fires & is_positive).sum())
    fired, positive = int(fires.sum()), int(is_positive.sum())
    return Score(
        hits / fired if fired else 0.0,
        hits / positive if positive else 0.0,
        2 * hits / (fired + positive) if fired + positive else 0.0,
    )


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
    from tinysae.features.index.vocabulary import vocabulary_of

    token_bytes = vocabulary_of(model).token_bytes

    def read(chunks: NDArray[np.int32]) -> tuple[ConceptTokens, FeaturePairs]:
        tokens = concept_tokens(chunks, token_bytes, model.bos_id)
        x = hooked(model, chunks, tokens.rows, sae.hook_name)
        return tokens, feature_pairs(encoded(sae, x), sae.d_sae)

    search = ConceptSearch(*read(choosing), *read(reporting))
    n_tokens = int(choosing.size + reporting.size)
    report = ConceptReport(sae.fingerprint, n_tokens, search.results(progress))
    return report, search.features()


def hooked(
    model: "LoadedModel",
    chunks: NDArray[np.int32],
    rows: NDArray[np.int64],
    hook_name: str,
) -> "Tensor":
    """Activations [len(rows), d_in] at the tokens `rows` of contexts, counted flat."""
    import torch

    from tinysae.data.activations import activation_batches

    parts = activation_batches(model, chunks, hook_name, CONTEXTS_AT_ONCE)
    return torch.cat([part.cpu() for part in parts])[torch.from_numpy(rows)]


def encoded(sae: "SAE", x: "Tensor") -> Iterator[NDArray[np.float32]]:
    """Feature activations of `x` [n, d_in], some rows at a time."""
    import torch

    with torch.inference_mode():
        for part in x.split(ROWS_AT_ONCE):
            yield sae.encode(part).float().numpy()


def write_concepts(folder: Path, report: ConceptReport) -> None:
    """Writes `concepts.json` beside an index.

    Raises:
        OSError: the folder cannot be written.
    """
    shares = {"found": report.found, "found_single": report.found_single}
    write_json(folder / CONCEPTS_NAME, {"format": FORMAT, **shares, **asdict(report)})


def read_concepts(folder: Path) -> ConceptReport | None:
    """The report beside an index; None where there is none.

    Raises:
        DamagedError: the file is not what `write_concepts` writes.
    """
    try:
        data = read_json(folder / CONCEPTS_NAME)
        if data["format"] != FORMAT:
            raise ValueError("format")
        results = tuple(_result(result) for result in data["concepts"])
        return ConceptReport(
            str(data["sae_fingerprint"]), int(data["n_tokens"]), results
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as why:
        raise DamagedError("features_damaged", file=CONCEPTS_NAME) from why


def _result(data: dict[str, Any]) -> ConceptResult:
    if data["concept"] not in CONCEPTS:
        raise ValueError("concept")
    return ConceptResult(
        data["concept"],
        int(data["n_examples"]),
        _detector(data["single"]),
        _detector(data["together"]),
        tuple(_detector(reading) for reading in data["readings"]),
    )


def _detector(data: dict[str, Any]) -> Detector:
    if data["reading"] not in READINGS:
        raise ValueError("reading")
    features = tuple(FeatureAt(int(n), float(at)) for n, at in data["features"])
    return Detector(
        data["reading"], features, Score(*(float(part) for part in data["score"]))
    )
