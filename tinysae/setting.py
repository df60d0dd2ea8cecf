"""What a setting of a run may be: alternatives, bounds, its words and its check."""

from dataclasses import field
from typing import Any, Literal, NamedTuple, get_args

from tinysae.checked_numbers import is_number_within
from tinysae.errors import SettingError
from tinysae.words import Language, text

Architecture = Literal[
    "standard", "topk", "batchtopk", "jumprelu", "gated", "matryoshka_batchtopk"
]
# SAELens also has layer_norm and constant_norm_rescale, whose reconstruction needs
# each token's own norm: a feature would have no direction of its own in the model.
# Its covariance_whitening could be folded into saved weights, but takes two
# d_in x d_in matrices to measure and to keep in every checkpoint, which is not built.
Normalization = Literal["none", "expected_average_only_in"]
SparsityLoss = Literal["step", "tanh", "quadratic"]
Scheduler = Literal["constant", "cosineannealing", "cosineannealingwarmrestarts"]
Dtype = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "tf32", "bfloat16"]

# Bounds that no sensible run on one machine passes: they catch a slipped zero.
MAX_TOKENS = 100_000_000_000
MAX_D_SAE = 1 << 20
MAX_BATCH = 1 << 17
# What a number input of a browser holds exactly.
MAX_SEED = 2**53 - 1

PENALISES_L1: tuple[Architecture, ...] = ("standard", "gated")
KEEPS_K: tuple[Architecture, ...] = ("topk", "batchtopk", "matryoshka_batchtopk")
# Of these, the ones that keep as many features of every single token.
KEEPS_WHOLE_K: tuple[Architecture, ...] = ("topk",)
KEEPS_K_A_BATCH: tuple[Architecture, ...] = ("batchtopk", "matryoshka_batchtopk")
JUMPRELU: tuple[Architecture, ...] = ("jumprelu",)
# Counted in steps of the run: of a run of another length, the same share of it.
IN_STEPS = (
    *("lr_warm_up_steps", "lr_decay_steps"),
    *("l1_warm_up_steps", "l0_warm_up_steps"),
)
# The ones whose L0 is what a coefficient makes of it.
FINDS_L0: tuple[Architecture, ...] = (*PENALISES_L1, *JUMPRELU)
MATRYOSHKA: tuple[Architecture, ...] = ("matryoshka_batchtopk",)
COSINES: tuple[Scheduler, ...] = ("cosineannealing", "cosineannealingwarmrestarts")

# When a setting is read: another one, and its values.
NORMALISED = ("normalize_activations", ("expected_average_only_in",))
QUADRATIC = ("jumprelu_sparsity_loss_mode", ("quadratic",))
TANH = ("jumprelu_sparsity_loss_mode", ("tanh",))
# Of the quadratic loss an L0 is asked for by `target_l0`.
STEERABLE = ("jumprelu_sparsity_loss_mode", ("step", "tanh"))
WITH_COSINE = ("lr_scheduler_name", COSINES)
WITH_RESTARTS = ("lr_scheduler_name", ("cosineannealingwarmrestarts",))
WITH_WANDB = ("log_to_wandb", (True,))
ON_CUDA = ("device", ("auto", "cuda"))

Group = Literal["data", "sae", "sparsity", "optimiser", "store", "monitoring"]
GROUPS: tuple[Group, ...] = get_args(Group)

NAME_LIMIT = 80
"""Characters of what people read as a name, and of what an error repeats."""
PATH_LIMIT = 4096
"""Characters of any other text."""


class Setting(NamedTuple):
    """What a field of `TrainConfig` may hold, and who reads it."""

    group: Group
    low: float | None = None
    high: float | None = None
    only_for: tuple[str, ...] = ()
    """The architectures that read this setting; none named: all of them."""
    only_when: tuple[str, tuple[str | bool, ...]] | None = None
    """Another setting, and its values with which this one is read."""
    name: str = ""
    kind: Any = None
    """The field's type: str, bool, int, float or a Literal of what is accepted."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The named alternatives; empty where there are none."""
        return get_args(self.kind)

    def label(self, language: Language) -> str:
        """What the form calls it."""
        return text(f"settings.{self.name}", language)

    def help(self, language: Language) -> str:
        """What it does, for the form, `train --help` and the documentation."""
        return text(f"settings.{self.name}_help", language)

    def checked(self, value: Any) -> Any:
        """`value` as the field's type.

        Raises:
            SettingError: it is of another kind, or out of bounds.
        """
        if self.choices:
            if value not in self.choices:
                accepted = ", ".join(self.choices)
                raise self._refused("setting_choice", value, choices=accepted)
            return value
        if self.kind is bool:
            if not isinstance(value, bool):
                raise self._refused("setting_choice", value, choices="true, false")
            return value
        if self.kind is str:
            limit = NAME_LIMIT if self.name == "name" else PATH_LIMIT
            if not isinstance(value, str) or len(value) > limit:
                raise self._refused("setting_text", value, limit=limit)
            return value
        if not is_number_within(value, self.kind, self.low, self.high):
            raise self._refused("setting_range", value, low=self.low, high=self.high)
        return self.kind(value)

    def _refused(self, key: str, value: Any, **values: object) -> SettingError:
        # It may be a number of 400 digits, or a whole page of text.
        if len(shown := str(value)) > NAME_LIMIT:
            value = shown[:NAME_LIMIT]
        return SettingError(key, field=self.name, value=value, **values)


def setting(default: Any, *args: Any, **kwargs: Any) -> Any:
    """A dataclass's field with a default and the arguments of its `Setting`."""
    return field(default=default, metadata={"setting": Setting(*args, **kwargs)})
