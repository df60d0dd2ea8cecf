"""What features are called: `labels.json` beside an index."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tinysae.errors import DamagedError
from tinysae.runs.files import read_json, write_json

LABELS_NAME = "labels.json"
LabelKind = Literal["fires_on", "about_to", "tokens", "explained"]


@dataclass(frozen=True)
class Label:
    """A feature's name, and how good a name it is; the page makes a sentence of it."""

    text: str
    kind: LabelKind
    concept: str | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


def write_labels(folder: Path, labels: Sequence[Label]) -> None:
    write_json(folder / LABELS_NAME, {"labels": [asdict(label) for label in labels]})


def read_labels(folder: Path) -> list[Label]:
    try:
        return [Label(**each) for each in read_json(folder / LABELS_NAME)["labels"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DamagedError("features_damaged", file=LABELS_NAME) from problem
