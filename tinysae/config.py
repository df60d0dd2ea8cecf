"""Every setting of a training run: its name, its default, its bounds, its JSON.

Names are SAELens 6's wherever SAELens has the setting, so that a config reads the same
here, there and in a paper's appendix. What each is called and does, in both languages,
stands in `tinysae/words/settings.json`: the form, `python -m tinysae train --help` and
the documentation all read it there.
No torch and no streamlit: the form must paint before either is loaded.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, cast, get_type_hints

from tinysae.errors import DamagedError, SettingError
from tinysae.setting import (
    COSINES,
    FINDS_L0,
    JUMPRELU,
    KEEPS_K,
    KEEPS_K_A_BATCH,
    KEEPS_WHOLE_K,
    MATRYOSHKA,
    MAX_BATCH,
    MAX_D_SAE,
    MAX_SEED,
    MAX_TOKENS,
    NAME_LIMIT,
    NORMALISED,
    ON_CUDA,
    PENALISES_L1,
    QUADRATIC,
    STEERABLE,
    TANH,
    WITH_COSINE,
    WITH_RESTARTS,
    WITH_WANDB,
    Architecture,
    Device,
    Dtype,
    Normalization,
    Precision,
    Scheduler,
    Setting,
    SparsityLoss,
    setting,
)

FORMAT = 1
MADE_WITH = "made_with"


class TextChoice(NamedTuple):
    """Which text, and how it is read; the fields of `TrainConfig` explain each."""

    path: str
    is_tokenized: bool = False
    column: str = ""
    subset: str = ""
    split: str = "train"
    streaming: bool = True


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One SAE training run.

    Raises:
        SettingError: when a setting is of the wrong kind or out of range; the error
            names the field, the value and what would be accepted.
    """

    name: str = setting("", "data")
    model_name: str = setting("storybook", "data")
    hook_name: str = setting("blocks.0.hook_mlp_out", "data")
    dataset_path: str = setting("storybook", "data")
    is_dataset_tokenized: bool = setting(False, "data")
    dataset_column: str = setting("", "data")
    dataset_name: str = setting("", "data")
    dataset_split: str = setting("train", "data")
    streaming: bool = setting(True, "data")
    context_size: int = setting(256, "data", 2, 8192)
    exclude_special_tokens: bool = setting(False, "data")
    training_tokens: int = setting(500_000, "data", 1, MAX_TOKENS)

    architecture: Architecture = setting("batchtopk", "sae")
    d_sae: int = setting(1024, "sae", 1, MAX_D_SAE)
    matryoshka_widths: str = setting("", "sae", only_for=MATRYOSHKA)
    rescale_acts_by_decoder_norm: bool = setting(True, "sae", only_for=KEEPS_K)
    dtype: Dtype = setting("float32", "sae")
    normalize_activations: Normalization = setting("expected_average_only_in", "sae")
    n_batches_for_norm_estimate: int = setting(
        20, "sae", 1, 100_000, only_when=NORMALISED
    )
    apply_b_dec_to_input: bool = setting(False, "sae")
    decoder_init_norm: float = setting(0.1, "sae", 0.0, 1e3)

    jumprelu_sparsity_loss_mode: SparsityLoss = setting(
        "step", "sparsity", only_for=JUMPRELU
    )
    # 0: the coefficient is what it is set to.
    wanted_l0: float = setting(
        0.0, "sparsity", 0.0, MAX_D_SAE, only_for=FINDS_L0, only_when=STEERABLE
    )
    l1_coefficient: float = setting(5.0, "sparsity", 0.0, 1e6, only_for=PENALISES_L1)
    l1_warm_up_steps: int = setting(0, "sparsity", 0, MAX_TOKENS, only_for=PENALISES_L1)
    lp_norm: float = setting(1.0, "sparsity", 0.1, 2.0, only_for=("standard",))
    k: float = setting(24.0, "sparsity", 1.0, float(MAX_D_SAE), only_for=KEEPS_K)
    topk_threshold_lr: float = setting(
        0.01, "sparsity", 1e-6, 1.0, only_for=KEEPS_K_A_BATCH
    )
    aux_loss_coefficient: float = setting(1.0, "sparsity", 0.0, 1e6, only_for=KEEPS_K)
    use_matryoshka_aux_loss: bool = setting(False, "sparsity", only_for=MATRYOSHKA)
    # jumprelu has Anthropic's threshold, bandwidth and estimator. With SAELens's own
    # defaults (0.01, 0.05, False) a few hundred steps hardly move a threshold: a run of
    # 0.5M tokens ended with 300 active features a token rather than 30.
    l0_coefficient: float = setting(0.5, "sparsity", 0.0, 1e6, only_for=JUMPRELU)
    l0_warm_up_steps: int = setting(0, "sparsity", 0, MAX_TOKENS, only_for=JUMPRELU)
    target_l0: float = setting(
        24.0, "sparsity", 1e-3, float(MAX_D_SAE), only_for=JUMPRELU, only_when=QUADRATIC
    )
    jumprelu_tanh_scale: float = setting(
        4.0, "sparsity", 1e-6, 1e6, only_for=JUMPRELU, only_when=TANH
    )
    jumprelu_init_threshold: float = setting(
        0.1, "sparsity", 0.0, 1e3, only_for=JUMPRELU
    )
    jumprelu_bandwidth: float = setting(2.0, "sparsity", 1e-6, 1e3, only_for=JUMPRELU)
    jumprelu_ste_to_input: bool = setting(True, "sparsity", only_for=JUMPRELU)
    pre_act_loss_coefficient: float = setting(
        0.0, "sparsity", 0.0, 1e6, only_for=JUMPRELU
    )

    lr: float = setting(2e-3, "optimiser", 1e-9, 1.0)
    lr_scheduler_name: Scheduler = setting("constant", "optimiser")
    lr_end: float = setting(0.0, "optimiser", 0.0, 1.0, only_when=WITH_COSINE)
    n_restart_cycles: int = setting(1, "optimiser", 1, 1000, only_when=WITH_RESTARTS)
    lr_warm_up_steps: int = setting(0, "optimiser", 0, MAX_TOKENS)
    lr_decay_steps: int = setting(0, "optimiser", 0, MAX_TOKENS)
    adam_beta1: float = setting(0.9, "optimiser", 0.0, 0.999999)
    adam_beta2: float = setting(0.999, "optimiser", 0.0, 0.999999)
    train_batch_size_tokens: int = setting(2048, "optimiser", 1, MAX_BATCH)

    n_batches_in_buffer: int = setting(16, "store", 2, 4096)
    store_batch_size_prompts: int = setting(16, "store", 1, 1024)

    feature_sampling_window: int = setting(1000, "monitoring", 1, 1_000_000)
    dead_feature_window: int = setting(100, "monitoring", 1, 1_000_000)
    n_checkpoints: int = setting(0, "monitoring", 0, 1000)
    seed: int = setting(42, "monitoring", 0, MAX_SEED)
    device: Device = setting("auto", "monitoring")
    precision: Precision = setting("tf32", "monitoring", only_when=ON_CUDA)

    log_to_wandb: bool = setting(False, "monitoring")
    wandb_project: str = setting(
        "sae_lens_training", "monitoring", only_when=WITH_WANDB
    )
    wandb_entity: str = setting("", "monitoring", only_when=WITH_WANDB)
    wandb_log_frequency: int = setting(
        10, "monitoring", 1, 1_000_000, only_when=WITH_WANDB
    )

    def __post_init__(self) -> None:
        for name, bounds in settings().items():
            object.__setattr__(self, name, bounds.checked(getattr(self, name)))
        self._check_sparsity()
        self._check_schedule()
        self._check_wandb()

    def _check_sparsity(self) -> None:
        if self.architecture in KEEPS_K and self.k > self.d_sae:
            raise self._setting_error("setting_k_above_d_sae", "k", d_sae=self.d_sae)
        if self.architecture in KEEPS_WHOLE_K and self.k != int(self.k):
            raise self._setting_error("setting_k_not_whole", "k")
        for name in ("target_l0", "wanted_l0"):
            if is_read(name, vars(self)) and getattr(self, name) > self.d_sae:
                raise self._setting_error("setting_range", name, low=0, high=self.d_sae)
        if self.architecture in MATRYOSHKA:
            widths = [0, *self.matryoshka_levels]
            if any(low >= high for low, high in pairwise(widths)):
                raise self._widths_error()

    def _check_schedule(self) -> None:
        steps = self.total_training_steps
        if steps < 1:
            raise self._setting_error(
                "setting_tokens_below_batch",
                "training_tokens",
                batch=self.train_batch_size_tokens,
            )
        for name in ("lr_warm_up_steps", "lr_decay_steps", "n_checkpoints"):
            if getattr(self, name) > steps:
                raise self._setting_error("setting_range", name, low=0, high=steps)
        for name in ("l1_warm_up_steps", "l0_warm_up_steps"):
            if reads(self.architecture, name) and getattr(self, name) > steps:
                raise self._setting_error("setting_warm_up_too_long", name, steps=steps)
        between = steps - self.lr_warm_up_steps - self.lr_decay_steps
        if between < 0:
            raise self._setting_error(
                "setting_schedule_too_long", "lr_decay_steps", steps=steps
            )
        if self.lr_scheduler_name not in COSINES:
            return
        if self.lr_end > self.lr:
            raise self._setting_error("setting_lr_end_above_lr", "lr_end", lr=self.lr)
        is_one = self.lr_scheduler_name == "cosineannealing"
        if between < (1 if is_one else self.n_restart_cycles):
            raise self._setting_error(
                "setting_cosine_without_steps",
                "lr_scheduler_name" if is_one else "n_restart_cycles",
                between=between,
            )

    def _check_wandb(self) -> None:
        for name in ("wandb_project", "wandb_entity"):
            value = getattr(self, name)
            is_name = re.fullmatch(r"[A-Za-z0-9._-]{1,128}", value)
            if not is_name and (value or name == "wandb_project"):
                raise self._setting_error("setting_wandb", name)

    def _widths_error(self) -> SettingError:
        name = "matryoshka_widths"
        return self._setting_error("setting_widths", name, d_sae=self.d_sae)

    def _setting_error(self, key: str, name: str, **values: object) -> SettingError:
        value = getattr(self, name)
        if isinstance(value, str):
            value = value[:NAME_LIMIT]
        return SettingError(key, field=name, value=value, **values)

    @property
    def text(self) -> TextChoice:
        """The text that is read, and how."""
        return TextChoice(
            path=self.dataset_path,
            is_tokenized=self.is_dataset_tokenized,
            column=self.dataset_column,
            subset=self.dataset_name,
            split=self.dataset_split,
            streaming=self.streaming,
        )

    @property
    def total_training_steps(self) -> int:
        """Steps of a whole run: as many full batches as fit in `training_tokens`."""
        return self.training_tokens // self.train_batch_size_tokens

    @property
    def matryoshka_levels(self) -> list[int]:
        """`matryoshka_widths` as numbers, all `d_sae` features last.

        Raises:
            SettingError: it is not a list of whole numbers.
        """
        if not self.matryoshka_widths.strip():
            nested = sorted({self.d_sae // 16, self.d_sae // 4} - {0})
            return [*nested, self.d_sae]
        parts = [part.strip() for part in self.matryoshka_widths.split(",")]
        # Bounded before `int` reads it: a forged number may have a million digits.
        if not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
            raise self._widths_error()
        return [*map(int, parts), self.d_sae]

    @property
    def title(self) -> str:
        """What the run is called where people see it (untrusted text)."""
        if self.name:
            return self.name
        return f"{self.architecture} {self.d_sae} · {self.training_tokens / 1e6:g}M"

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TrainConfig":
        """Reads what `to_json` wrote; unknown keys of a newer version are refused.

        What a run was made with (`MADE_WITH`) is no setting and is passed over.

        Raises:
            DamagedError: not a config of this format.
            SettingError: a setting out of range.
        """
        known = {item.name for item in fields(cls)}
        if data.get("format") != FORMAT:
            found = str(data.get("format"))[:NAME_LIMIT]
            raise DamagedError("config_format", found=found, wanted=FORMAT)
        given = {
            key: value
            for key, value in data.items()
            if key not in ("format", MADE_WITH)
        }
        if strange := sorted(set(given) - known):
            raise DamagedError("config_unknown_key", key=strange[0][:NAME_LIMIT])
        return cls(**given)

    @classmethod
    def loads(cls, text: str) -> "TrainConfig":
        """`from_json` for text. Raises as it does, and DamagedError for non-JSON."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise DamagedError("config_not_json") from problem
        if not isinstance(data, dict):
            raise DamagedError("config_not_json")
        return cls.from_json(cast("dict[str, Any]", data))


@cache
def settings() -> Mapping[str, Setting]:
    """Field name -> its words and bounds, in the order of the form."""
    # Resolved once: every page reads the config of every run.
    kinds = get_type_hints(TrainConfig)
    return {
        item.name: item.metadata["setting"]._replace(
            name=item.name, kind=kinds[item.name]
        )
        for item in fields(TrainConfig)
    }


def choices(name: str) -> tuple[str, ...]:
    """What a setting with named alternatives accepts; empty for all the others."""
    return settings()[name].choices


def reads(architecture: str, name: str) -> bool:
    """Whether `name` means anything for that architecture."""
    only_for = settings()[name].only_for
    return not only_for or architecture in only_for


def is_read(name: str, values: Mapping[str, Any]) -> bool:
    """Whether `name` changes anything, the other settings being `values`.

    A form shows a setting only while it does; whoever is not in `values`, or not read
    itself, has no say.
    """
    architecture, when = values["architecture"], settings()[name].only_when
    if not reads(architecture, name):
        return False
    if when is None or not reads(architecture, when[0]):
        return True
    return values.get(when[0], when[1][0]) in when[1]
