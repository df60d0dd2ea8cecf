"""A short name for every feature, found without anybody's help.

The rule: a feature that reads a storybook concept with an F1 of at least `MIN_F1` (on
stories other than those it was chosen on) is called by that concept. Any other is
called by the `N_TOKENS` tokens that have most of its activation, or by nothing if it
never fires. Labels by tokens say so (`kind`), and have no score.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tinysae.checked_numbers import is_number
from tinysae.errors import DamagedError
from tinysae.features.names.concept_tokens import target_name
from tinysae.jobs.files import read_json, write_json
from tinysae.render.visible import visible
from tinysae.words import Language, catalogue, text

if TYPE_CHECKING:
    from tinysae.features.names.concept_search import FeatureScores

LabelKind = Literal["fires_on", "about_to", "tokens", "explained"]
LABELS_NAME: Final = "labels.json"
FORMAT: Final = 1
MIN_F1: Final = 0.5
"""Below, the concept is missed or mistaken more often than it is read."""
N_TOKENS: Final = 3
MAX_TEXT: Final = 200
"""Characters of a label, whoever proposes it."""
MAX_FILE_BYTES: Final = 20_000_000
"""More than the labels of 65,536 features take; in memory it is twenty times that."""
"""Of a million features, each called by as many letters of any script."""


@dataclass(frozen=True)
class Label:
    """What a feature is called.

    text: a concept's name, or top tokens; data, the same in every language, and
    untrusted. concept, precision, recall, f1: of a label by concept only.
    """

    text: str
    kind: LabelKind
    concept: str | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None


def labels(
    tokens: Iterable[Sequence[str]], scores: "FeatureScores | None"
) -> list[Label]:
    """Every feature's label: by concept where one is read well enough.

    Args:
        tokens: for each feature, the tokens it fires on, largest mass first.
        scores: what each reads; None for a text whose concepts nobody knows.
    """
    named: list[Label] = []
    for feature, own in enumerate(tokens):
        if scores is not None and scores.f1[feature] >= MIN_F1:
            concept, reading = target_name(int(scores.target[feature]))
            named.append(
                Label(
                    concept,
                    reading,
                    concept,
                    float(scores.precision[feature]),
                    float(scores.recall[feature]),
                    float(scores.f1[feature]),
                )
            )
        else:
            named.append(Label(" ·".join(own[:N_TOKENS])[:MAX_TEXT], "tokens"))
    return named


def concept_name(concept: str, language: Language) -> str:
    """What a concept is called, else its own name as it is (untrusted text)."""
    key = f"concepts.{concept}"
    if key in catalogue():
        return text(key, language)
    return visible(concept.replace("_", " "))


def label_sentence(label: Label, language: Language) -> str:
    """What the label says of its feature, as plain untrusted text; a feature that
    never fires may have nothing to be called by."""
    what = visible(label.text)
    if not what:
        return ""
    if label.concept is not None:
        what = concept_name(label.concept, language)
    return text(f"features.label_{label.kind}", language, what=what)


def write_labels(folder: Path, labels: Sequence[Label]) -> None:
    """Writes `labels.json` beside an index: one label a feature.

    Raises:
        OSError: the folder cannot be written.
    """
    data = {"format": FORMAT, "labels": [asdict(label) for label in labels]}
    write_json(folder / LABELS_NAME, data)


def read_labels(folder: Path) -> list[Label]:
    """The labels beside an index, by feature; none where there is no file.

    Raises:
        DamagedError: the file is not what `write_labels` writes.
    """
    try:
        data = read_json(folder / LABELS_NAME, MAX_FILE_BYTES)
        if data["format"] != FORMAT:
            raise ValueError("format")
        return [_label(label) for label in data["labels"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise DamagedError("features_damaged", file=LABELS_NAME) from why


def _label(data: dict[str, Any]) -> Label:
    label = Label(**data)
    is_text = isinstance(label.text, str) and len(label.text) <= MAX_TEXT
    if label.kind not in get_args(LabelKind) or not is_text:
        raise ValueError("label")
    if not (label.concept is None or isinstance(label.concept, str)):
        raise ValueError("concept")
    for number in (label.precision, label.recall, label.f1):
        if not (number is None or is_number(number)):
            raise ValueError("score")
    return label
