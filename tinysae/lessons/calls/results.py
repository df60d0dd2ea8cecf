"""What a call answers: figures, words for a sentence, and pictures as plain data.

A page draws `View`s with what it has, a handout as HTML. Texts are tokens of whatever
was read: untrusted, to be escaped where shown.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tinysae.errors import InputError
from tinysae.render.numbers import percent

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex
    from tinysae.library.feature_source import FeatureSource
    from tinysae.model.sources import LoadedModel
    from tinysae.runs.store import Run
    from tinysae.sae.load import SAE


class Strip(NamedTuple):
    """Tokens, each coloured by a value from 0 to `high`; None for no colour. With a
    `high` of 0 it is only there to be read.

    title: a sentence of the room `lessons`, without `view_`.
    """

    title: str
    texts: list[str]
    values: list[float | None]
    high: float


# Titles of bars whose values are probabilities or other shares.
_SHARES = frozenset(
    {"next", "heads", "forget", "transplant", "on", "mass", "recovered"}
)


class Bars(NamedTuple):
    """Labelled values from a common zero; `named`: labels are `lessons.bar_*`, or a
    feature, "#12"."""

    title: str
    labels: list[str]
    values: list[float]
    named: bool = False

    @property
    def are_shares(self) -> bool:
        """Whether the values are read as percentages."""
        return self.title in _SHARES


def named_bars(title: str, **values: float) -> Bars:
    """Bars whose labels are `lessons.bar_*`."""
    return Bars(title, list(values), list(values.values()), named=True)


class Table(NamedTuple):
    """Rows of texts under columns named `lessons.column_*`, or by a feature, "#12"."""

    title: str
    columns: list[str]
    rows: list[list[str]]


View = Strip | Bars | Table


@dataclass(frozen=True)
class Result:
    """What a call found.

    figures: numbers that claims are checked on. words: what an answer's sentence may
    fill in, written as people read them.
    """

    figures: dict[str, float]
    words: dict[str, str]
    views: list[View] = field(default_factory=list)


def percents(**shares: float) -> dict[str, str]:
    """Words of a `Result` that are shares."""
    return {name: percent(share) for name, share in shares.items()}


@dataclass(frozen=True, eq=False)
class Stage:
    """What a lesson is played on: a model, and where a step needs them an SAE of it,
    its features' index, where both come from, and the reader's own run."""

    model: "LoadedModel"
    sae: "SAE | None" = None
    index: "FeatureIndex | None" = None
    source: "FeatureSource | None" = None
    run: "Run | None" = None


def sae_of(stage: Stage) -> "SAE":
    """The SAE of the stage.

    Raises:
        InputError: it has none.
    """
    if stage.sae is None:
        raise InputError("lesson_needs_sae")
    return stage.sae


def index_of(stage: Stage) -> "FeatureIndex":
    """The index of the stage's features.

    Raises:
        InputError: it has none.
    """
    if stage.index is None:
        raise InputError("lesson_needs_index")
    return stage.index
