"""SAEs beside each other: what each was told and came to, and what may be compared.

Figures of two SAEs can be compared where the same was measured: one model, one hook,
one text in contexts of one length. What a run was measured on is what its settings say;
that the text was really the same is seen by the loss of the model without any SAE,
which is measured with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from statistics import fmean
from typing import Any, Final, Literal, NamedTuple

from tinysae.checked_numbers import number
from tinysae.config import TextChoice, TrainConfig, is_read, settings
from tinysae.errors import DamagedError
from tinysae.jobs.status import State
from tinysae.render.numbers import moment
from tinysae.runs.remarks import Remarks, remarks
from tinysae.runs.store import Run

Kind = Literal["run", "shipped", "saved"]
Value = str | float | bool | None

# Held-out figures (`sae.evaluate`), and whether more of one is better; None: neither.
FIGURES: Final[Mapping[str, bool | None]] = {
    "ce_loss_score": True,
    "l0": False,
    "explained_variance": True,
    "dead_share": False,
    "dense_share": False,
    "kl_div_score": True,
    "mse": False,
}
# The share of features with a name; no figure of an evaluation (`library`).
NAMED: Final = "named_share"
# What a training took.
COSTS: Final = ("seconds", "tokens_per_s")
# What is known of an SAE besides; `Compared.value` has all of these by name.
FACTS: Final = ("name", "state", "started", "tags", "note")
# Of a loss in nats: more than rounding on another machine, less than another text.
SAME_LOSS = 1e-3
# How sparse an SAE is to be: what a sweep varies.
SPARSITY: Final = ("l1_coefficient", "l0_coefficient", "target_l0", "k")
# These say nothing of what an SAE is.
NO_DIFFERENCE: Final = frozenset(
    {"name", "device", "log_to_wandb", "wandb_project", "wandb_entity"}
    | {"wandb_log_frequency", "n_checkpoints", "streaming"}
)


class Ground(NamedTuple):
    """What an SAE was measured on."""

    model_name: str
    hook_name: str
    text: TextChoice
    context_size: int


@dataclass(frozen=True)
class Compared:
    """An SAE, as one compares it.

    Attributes:
        id: what links call it.
        name: what people call it (untrusted text).
        kind: a run of ours, one that came along, or one from elsewhere.
        created_at: seconds since the epoch.
        state: of its training.
        settings: what it was told and read (`settings_of`), or what its files say.
        figures: the held-out ones, and what its training took.
        ground: what it was measured on; None of what was not, or nobody knows.
        remarks: a reader's, of a run of ours.
    """

    id: str
    name: str
    kind: Kind
    created_at: float
    state: State
    settings: Mapping[str, Value]
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    ground: Ground | None = None
    remarks: Remarks = Remarks()

    def value(self, name: str) -> Value:
        """What stands in the column `name` (`columns`); None where nothing does."""
        match name:
            case "name":
                return self.name
            case "state":
                return self.state
            case "started":
                return moment(self.created_at) if self.created_at else None
            case "tags":
                return ", ".join(self.remarks.tags)
            case "note":
                return self.remarks.note
            case _:
                return self.figures.get(name, self.settings.get(name))

    def with_figure(self, name: str, value: float) -> "Compared":
        """The same, with one figure more."""
        return replace(self, figures={**self.figures, name: value})

    @property
    def is_measured(self) -> bool:
        """Whether it has a place among others."""
        return self.ground is not None and self.figures.get("l0", 0) > 0


def compared(run: Run, kind: Kind = "run") -> Compared:
    """A run, as one compares it."""
    config = run.config
    evaluation = run.evaluation() or {}
    kept = Remarks()
    # Who looks at them is told; a table has no room for it.
    with suppress(DamagedError):
        kept = remarks(run)
    ground = Ground(
        config.model_name, config.hook_name, config.text, config.context_size
    )
    return Compared(
        id=run.id,
        name=run.title,
        kind=kind,
        created_at=run.created_at,
        state="done" if kind == "shipped" else run.status.state,
        settings=settings_of(config),
        figures={**evaluation, **_costs(run.took() or {})},
        ground=ground if evaluation else None,
        remarks=kept,
    )


def settings_of(config: TrainConfig) -> dict[str, Value]:
    """The settings that a run of these reads, by name, in the form's order."""
    values = {item.name: getattr(config, item.name) for item in fields(config)}
    return {name: value for name, value in values.items() if is_read(name, values)}


def _costs(took: Mapping[str, Any]) -> dict[str, float]:
    seconds = number(took.get("training"), low=0)
    tokens = number(took.get("n_tokens"), low=0)
    if not seconds:
        return {}
    return {
        "seconds": seconds,
        **({"tokens_per_s": tokens / seconds} if tokens else {}),
    }


def columns() -> list[str]:
    """All that a table of SAEs may show, by name: facts, figures, settings."""
    told = (name for name in settings() if name != "name")
    return [*FACTS, *FIGURES, NAMED, *COSTS, *told]


def in_order(entries: Iterable[Compared], name: str) -> list[Compared]:
    """By the column `name`, the best first, where that can be said, else the smallest;
    the newest first by when they were started; what has no value last."""
    is_falling = FIGURES.get(name, name in (NAMED, "tokens_per_s", "started"))
    there, gone = list[Compared](), list[Compared]()
    for entry in entries:
        (gone if entry.value(name) in (None, "") else there).append(entry)
    # Of one column the values are of one kind, but for what nobody checked.
    there.sort(key=lambda entry: _sort_key(entry.value(name)), reverse=bool(is_falling))
    return [*there, *gone]


def _sort_key(value: Value) -> tuple[bool, float, str]:
    is_text = isinstance(value, str)
    return is_text, 0.0 if is_text else float(value or 0), value if is_text else ""


class Group(NamedTuple):
    """SAEs of one value of a setting, and the means of their figures."""

    value: Value
    entries: list[Compared]
    means: dict[str, float]


def grouped(
    entries: Iterable[Compared], name: str, figures: Sequence[str]
) -> list[Group]:
    """`entries` by their values in the column `name`, in the order of those values;
    `figures` that none of a group has are left out of its means."""
    found: dict[Value, list[Compared]] = {}
    for entry in in_order(entries, name):
        found.setdefault(entry.value(name), []).append(entry)
    return [Group(value, own, _means(own, figures)) for value, own in found.items()]


def _means(entries: Sequence[Compared], figures: Sequence[str]) -> dict[str, float]:
    known = {
        name: [e.figures[name] for e in entries if name in e.figures]
        for name in figures
    }
    return {name: fmean(values) for name, values in known.items() if values}


def are_comparable(one: Compared, other: Compared) -> bool:
    """Whether their figures are of the same model, place and text."""
    if one.ground is None or one.ground != other.ground:
        return False
    mine, theirs = (each.figures.get("ce_loss_clean") for each in (one, other))
    # Runs of before the loss was noted are believed.
    return mine is None or theirs is None or abs(mine - theirs) < SAME_LOSS


def differing(told: Sequence[Mapping[str, Value]]) -> list[str]:
    """Those of several runs' settings that are not all alike, in the form's order."""
    return [
        name
        for name in settings()
        if name not in NO_DIFFERENCE and len({each.get(name) for each in told}) > 1
    ]


def told_apart(configs: Sequence[TrainConfig]) -> list[str]:
    """For each of several runs, the settings that tell it from the others: "k 16, lr
    0.001"; nothing where they are all alike."""
    told = [settings_of(config) for config in configs]
    names = differing(told)
    return [
        ", ".join(f"{name} {value_text(own[name])}" for name in names if name in own)
        for own in told
    ]


def by_series(entries: Iterable[Compared]) -> list[list[Compared]]:
    """Those that differ in how sparse they are to be and in nothing else, each series
    by its L0; what stands alone is none."""
    found: dict[tuple[Any, ...], list[Compared]] = {}
    for each in entries:
        if each.kind != "saved":
            key = tuple(
                (name, value)
                for name, value in each.settings.items()
                if name not in NO_DIFFERENCE and name not in SPARSITY
            )
            found.setdefault(key, []).append(each)
    return [
        sorted(series, key=lambda each: each.figures.get("l0", 0.0))
        for series in found.values()
        if len(series) > 1
    ]


def value_text(value: Value) -> str:
    """A setting's value, in short."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    return f"{value:,.6g}" if isinstance(value, int | float) else value
