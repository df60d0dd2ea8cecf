"""SAEs beside each other: what each was told and came to, and what may be compared.

Figures of two SAEs can be compared where the same was measured: one model, one hook,
one text in contexts of one length. What a run was measured on is what its settings say;
that the text was really the same is seen by the loss of the model without any SAE,
which is measured with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple

from tinysae.checked_numbers import number
from tinysae.config import TextChoice, TrainConfig, is_read, settings
from tinysae.jobs.status import State
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
# What a training took.
COSTS: Final = ("seconds", "tokens_per_s")
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
    """

    id: str
    name: str
    kind: Kind
    created_at: float
    state: State
    settings: Mapping[str, Value]
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    ground: Ground | None = None

    def value(self, name: str) -> Value:
        """A setting's or a figure's; None where it has none."""
        return self.figures.get(name, self.settings.get(name))

    @property
    def is_measured(self) -> bool:
        """Whether it has a place among others."""
        return self.ground is not None and self.figures.get("l0", 0) > 0


def compared(run: Run, kind: Kind = "run") -> Compared:
    """A run, as one compares it."""
    config = run.config
    evaluation = run.evaluation() or {}
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


def are_comparable(one: Compared, other: Compared) -> bool:
    """Whether their figures are of the same model, place and text."""
    if one.ground is None or one.ground != other.ground:
        return False
    mine, theirs = (each.figures.get("ce_loss_clean") for each in (one, other))
    # Runs of before the loss was noted are believed.
    return mine is None or theirs is None or abs(mine - theirs) < SAME_LOSS


def differing(entries: Sequence[Compared]) -> list[str]:
    """The settings in which they are not all alike, in the form's order."""
    return [
        name
        for name in settings()
        if name not in NO_DIFFERENCE
        and len({each.settings.get(name) for each in entries}) > 1
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
