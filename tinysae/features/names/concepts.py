"""How well an SAE's features read the storybook's concepts: `concepts.json`.

Features and thresholds are chosen on one set of held-out stories; precision, recall and
F1 are counted on another. What fires is every token on which one of a few features
reaches its threshold: an SAE often splits a concept by context.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook.words import CONCEPTS
from tinysae.errors import DamagedError
from tinysae.features.names.concept_tokens import READINGS, Reading
from tinysae.jobs.files import read_json, write_json

CONCEPTS_NAME: Final = "concepts.json"
FORMAT: Final = 1
FOUND_AT: Final = 0.8
"""The F1 from which a concept counts as found."""


class FeatureAt(NamedTuple):
    """A feature, and the activation from which it counts as firing."""

    feature: int
    threshold: float


class Score(NamedTuple):
    """How well a set of tokens is told apart, counted on the reporting stories."""

    precision: float
    recall: float
    f1: float


def score(fires: NDArray[np.bool_], is_positive: NDArray[np.bool_]) -> Score:
    """Precision, recall and F1 of `fires` [n] as a guess at `is_positive` [n]."""
    hits = int((fires & is_positive).sum())
    fired, positive = int(fires.sum()), int(is_positive.sum())
    return Score(
        hits / fired if fired else 0.0,
        hits / positive if positive else 0.0,
        2 * hits / (fired + positive) if fired + positive else 0.0,
    )


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
