"""What the doctor says, and what a rule is."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import IntEnum
from typing import Any, NamedTuple

from tinysae.config import TrainConfig
from tinysae.errors import SettingError
from tinysae.render.numbers import NO_FIGURE
from tinysae.runs.doctor.case import Case
from tinysae.setting import IN_STEPS, NAME_LIMIT
from tinysae.words import Language, text

# The largest step that is usual for Adam on an SAE as small as those made here: the
# default, and forty times SAELens's for the widest.
USUAL_LR = 2e-3


class Seriousness(IntEnum):
    """How much of the result is lost."""

    BETTER = 1
    """It could be better."""
    SPOILED = 2
    """A figure, or many features, are not what they could be."""
    LOST = 3
    """Nothing has been learnt that is worth a look."""


class Finding(NamedTuple):
    """What a rule found.

    evidence: numbers by name, which `doctor.<key>` and `doctor.<key>_why` fill in.
    remedy: settings to change; None where none of them helps.
    """

    evidence: Mapping[str, float]
    remedy: Mapping[str, Any] | None = None


class Rule(NamedTuple):
    """A thing that goes wrong, and how it is known.

    Attributes:
        key: its name in the words.
        seriousness: of what it finds.
        find: what it finds; None where all is well, or nothing can be said.
        formula: of the figure that it watches.
        bound: from where on it speaks, and why from there.
        remedy: what it changes.
        source: who says so.
    """

    key: str
    seriousness: Seriousness
    find: Callable[[Case], Finding | None]
    formula: str
    bound: str
    remedy: str
    source: str


# How the words write a number of that name; the others with three digits.
_WRITTEN: Mapping[str, str] = {
    **dict.fromkeys(
        ("share", "ev", "score", "honest", "gain", "error", "bound"), ".0%"
    ),
    **dict.fromkeys(("n", "steps", "tokens", "features", "step", "d_in"), ",.0f"),
    "rise": ".1%",
    **dict.fromkeys(("width", "several", "firings", "n_tokens"), ",.0f"),
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a run.

    Attributes:
        key: the rule's.
        seriousness: how much of the result is lost.
        evidence: the numbers that say so.
        remedy: settings to change, other than they are; None where none helps.
    """

    key: str
    seriousness: Seriousness
    evidence: Mapping[str, float]
    remedy: Mapping[str, Any] | None = None

    def sentence(self, language: Language) -> str:
        """What is wrong and what to do about it."""
        return text(f"doctor.{self.key}", language, **self._written())

    def why(self, language: Language) -> str:
        """The figures that say so, beside their bounds."""
        return text(f"doctor.{self.key}_why", language, **self._written())

    def to_json(self) -> dict[str, Any]:
        said = {"sentence": self.sentence("en"), "why": self.why("en")}
        return {**asdict(self), "seriousness": self.seriousness.name.lower(), **said}

    def _written(self) -> dict[str, str]:
        return {
            name: format(value, _WRITTEN.get(name, ".3g"))
            for name, value in self.evidence.items()
        }


def mended(config: TrainConfig, remedy: Mapping[str, Any]) -> TrainConfig:
    """The settings with the remedy's, called after what it changes. Of a run of another
    length, warm-ups and decay stay the shares that they were.

    Raises:
        SettingError: they contradict each other.
    """
    values = {item.name: getattr(config, item.name) for item in fields(config)}
    changed = {**values, **remedy}
    steps = changed["training_tokens"] // changed["train_batch_size_tokens"]
    for name in IN_STEPS:
        if name not in remedy:
            changed[name] = values[name] * steps // config.total_training_steps
    if "d_sae" in remedy:
        # Given widths may be above it; those that follow from it are not.
        changed["matryoshka_widths"] = ""
    better = TrainConfig(**changed)
    name = " · ".join([*spelled(config, better), config.title])
    return replace(better, name=name[:NAME_LIMIT])


def spelled(config: TrainConfig, better: TrainConfig) -> list[str]:
    """What another run's settings change: "k 24 → 48" each."""
    names = (item.name for item in fields(config) if item.name != "name")
    return [
        f"{name} {_value(before)} → {_value(after)}"
        for name in names
        if (before := getattr(config, name)) != (after := getattr(better, name))
    ]


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        said = str(value).lower() if isinstance(value, bool) else str(value)
        # Nothing given: what follows from the other settings.
        return said or NO_FIGURE
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def changes(config: TrainConfig, remedy: Mapping[str, Any]) -> dict[str, Any] | None:
    """The part of a remedy that makes other settings of them; None where they would be
    none, or the same."""
    found = {name: v for name, v in remedy.items() if getattr(config, name) != v}
    try:
        mended(config, found)
    except SettingError:
        return None
    return found or None
