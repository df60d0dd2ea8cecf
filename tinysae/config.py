"""Every setting of a training run: its name, its words, its checks, its JSON.

Names are SAELens 6's wherever SAELens has the setting, so that a config reads the same
here, there and in a paper's appendix. The words beside a field are the only ones: the
form, `python -m tinysae train --help` and the documentation all read them from here.
No torch and no streamlit: the form must paint before either is loaded.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, NamedTuple, cast, get_args, get_type_hints

from tinysae.errors import DamagedError, SettingError
from tinysae.words import Language

Architecture = Literal["standard", "batchtopk"]
Normalization = Literal["none", "expected_average_only_in"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Group = Literal["data", "sae", "sparsity", "optimiser", "store", "monitoring"]
GROUPS: tuple[Group, ...] = get_args(Group)

FORMAT = 1
NAME_LIMIT = 80
# Bounds that no sensible run on one machine passes: they catch a slipped zero.
MAX_TOKENS = 100_000_000_000
MAX_D_SAE = 1 << 20
MAX_BATCH = 1 << 17
# What a number input of a browser holds exactly.
MAX_SEED = 2**53 - 1


class Setting(NamedTuple):
    """The words and the bounds of one field."""

    group: Group
    en: tuple[str, str]
    """Label and help in English."""
    ko: tuple[str, str]
    """Label and help in Korean."""
    low: float | None = None
    high: float | None = None
    only_for: Architecture | None = None
    """The architecture that reads this setting; None: all of them."""

    def label(self, language: Language) -> str:
        return (self.en if language == "en" else self.ko)[0]

    def help(self, language: Language) -> str:
        return (self.en if language == "en" else self.ko)[1]


def _setting(default: Any, *args: Any, **kwargs: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(*args, **kwargs)})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One SAE training run.

    Raises:
        SettingError: when a setting is of the wrong kind or out of range; the error
            names the field, the value and what would be accepted.
    """

    name: str = _setting(
        "",
        "data",
        ("Name", "What you will call this run. Empty: made from the settings."),
        ("이름", "이 학습을 부를 이름이에요. 비워 두면 설정에서 만들어요."),
    )
    model_name: str = _setting(
        "storybook",
        "data",
        (
            "Model (model_name)",
            "The language model whose activations the SAE learns: the embedded "
            "storybook, or a local Hugging Face folder.",
        ),
        (
            "모델 (model_name)",
            "SAE가 배울 활성값을 내는 언어 모델이에요. 내장된 storybook이나 내 "
            "컴퓨터의 Hugging Face 폴더를 쓸 수 있어요.",
        ),
    )
    hook_name: str = _setting(
        "blocks.0.hook_mlp_out",
        "data",
        (
            "Hook point (hook_name)",
            "The place inside the model that is read. blocks.0.hook_mlp_out is what "
            "the first layer's MLP writes.",
        ),
        (
            "훅 위치 (hook_name)",
            "모델 안에서 값을 읽을 자리예요. blocks.0.hook_mlp_out은 첫 층의 "
            "MLP가 쓰는 값이에요.",
        ),
    )
    dataset_path: str = _setting(
        "storybook",
        "data",
        (
            "Text (dataset_path)",
            "The text the model reads while the SAE learns: endless generated stories.",
        ),
        (
            "글 (dataset_path)",
            "SAE가 배우는 동안 모델이 읽을 글이에요. 끝없이 만들어지는 이야기예요.",
        ),
    )
    context_size: int = _setting(
        256,
        "data",
        (
            "Context size (context_size)",
            "How many tokens the model reads at once. At most the model's own limit.",
        ),
        (
            "문맥 길이 (context_size)",
            "모델이 한 번에 읽는 토큰 수예요. 모델의 한도를 넘을 수 없어요.",
        ),
        2,
        8192,
    )
    training_tokens: int = _setting(
        500_000,
        "data",
        (
            "Training tokens (training_tokens)",
            "How many tokens' activations the SAE sees. More is better and slower.",
        ),
        (
            "학습 토큰 (training_tokens)",
            "SAE가 볼 토큰의 수예요. 많을수록 좋아지고 오래 걸려요.",
        ),
        1,
        MAX_TOKENS,
    )
    architecture: Architecture = _setting(
        "batchtopk",
        "sae",
        (
            "Architecture (architecture)",
            "How the SAE stays sparse. standard: a penalty on activations (L1), as in "
            "the tutorial. batchtopk: keeps exactly k active features a token on "
            "average.",
        ),
        (
            "구조 (architecture)",
            "SAE를 희소하게 유지하는 방법이에요. standard는 튜토리얼처럼 활성값에 "
            "벌점(L1)을 주고, batchtopk는 토큰당 평균 k개의 특징만 남겨요.",
        ),
    )
    d_sae: int = _setting(
        1024,
        "sae",
        (
            "Features (d_sae)",
            "How many features the SAE has. The tutorial uses 16 times the width of "
            "the model (its expansion factor).",
        ),
        (
            "특징 수 (d_sae)",
            "SAE가 가질 특징의 수예요. 튜토리얼은 모델 너비의 16배(확장 계수)를 써요.",
        ),
        1,
        MAX_D_SAE,
    )
    normalize_activations: Normalization = _setting(
        "expected_average_only_in",
        "sae",
        (
            "Normalise activations (normalize_activations)",
            "expected_average_only_in scales the activations so that their average "
            "norm is the square root of d_in; the scale is folded into the saved "
            "weights.",
        ),
        (
            "활성값 정규화 (normalize_activations)",
            "expected_average_only_in은 활성값의 평균 크기가 d_in의 제곱근이 "
            "되도록 맞추고, 그 배율을 저장되는 가중치에 합쳐요.",
        ),
    )
    n_batches_for_norm_estimate: int = _setting(
        20,
        "sae",
        (
            "Batches for the norm (n_batches_for_norm_estimate)",
            "How many batches the average norm is measured on before training starts.",
        ),
        (
            "크기 측정 배치 (n_batches_for_norm_estimate)",
            "학습 전에 평균 크기를 잴 배치의 수예요.",
        ),
        1,
        100_000,
    )
    apply_b_dec_to_input: bool = _setting(
        False,
        "sae",
        (
            "Subtract b_dec first (apply_b_dec_to_input)",
            "Subtracts the decoder's bias from the input before encoding.",
        ),
        (
            "b_dec 먼저 빼기 (apply_b_dec_to_input)",
            "인코딩하기 전에 입력에서 디코더의 편향을 빼요.",
        ),
    )
    decoder_init_norm: float = _setting(
        0.1,
        "sae",
        (
            "Decoder's initial norm (decoder_init_norm)",
            "The length of every decoder direction at the start.",
        ),
        (
            "디코더 초기 크기 (decoder_init_norm)",
            "학습을 시작할 때 디코더 방향의 길이예요.",
        ),
        1e-6,
        1e3,
    )
    l1_coefficient: float = _setting(
        5.0,
        "sparsity",
        (
            "Sparsity penalty (l1_coefficient)",
            "How much activity costs. Higher: fewer active features (lower L0) and a "
            "worse reconstruction.",
        ),
        (
            "희소성 벌점 (l1_coefficient)",
            "활성값의 값이에요. 높이면 켜지는 특징이 줄고(L0 감소) 복원은 나빠져요.",
        ),
        0.0,
        1e6,
        "standard",
    )
    l1_warm_up_steps: int = _setting(
        0,
        "sparsity",
        (
            "Penalty warm-up (l1_warm_up_steps)",
            "Steps over which the penalty grows from zero. 5% of all steps is usual.",
        ),
        (
            "벌점 준비 단계 (l1_warm_up_steps)",
            "벌점이 0에서 시작해 다 커질 때까지의 단계예요. 보통 전체의 5%예요.",
        ),
        0,
        MAX_TOKENS,
        "standard",
    )
    lp_norm: float = _setting(
        1.0,
        "sparsity",
        (
            "Penalty's norm (lp_norm)",
            "The p of the p-norm that is penalised; 1 is the usual L1.",
        ),
        (
            "벌점의 노름 (lp_norm)",
            "벌점에 쓰는 p-노름의 p예요. 보통은 1(L1)이에요.",
        ),
        0.1,
        2.0,
        "standard",
    )
    k: float = _setting(
        24.0,
        "sparsity",
        (
            "Active features a token (k)",
            "How many features stay on for a token, on average over a batch.",
        ),
        (
            "토큰당 특징 수 (k)",
            "한 토큰에서 켜진 채 남는 특징의 수예요. 배치 전체의 평균이에요.",
        ),
        1.0,
        float(MAX_D_SAE),
        "batchtopk",
    )
    aux_loss_coefficient: float = _setting(
        1.0,
        "sparsity",
        (
            "Help for dead features (aux_loss_coefficient)",
            "Weight of the loss that lets features that never fire learn the error "
            "that is left.",
        ),
        (
            "죽은 특징 돕기 (aux_loss_coefficient)",
            "한 번도 켜지지 않는 특징이 남은 오차를 배우게 하는 손실의 무게예요.",
        ),
        0.0,
        1e6,
        "batchtopk",
    )
    lr: float = _setting(
        2e-3,
        "optimiser",
        (
            "Learning rate (lr)",
            "Size of Adam's steps. The tutorial's 5e-5 suits its 30,000 steps; a run "
            "of a few hundred steps wants more.",
        ),
        (
            "학습률 (lr)",
            "Adam이 한 번에 움직이는 크기예요. 튜토리얼의 5e-5는 3만 단계에 알맞고, "
            "몇백 단계만 학습하려면 더 커야 해요.",
        ),
        1e-9,
        1.0,
    )
    lr_warm_up_steps: int = _setting(
        0,
        "optimiser",
        (
            "Warm-up (lr_warm_up_steps)",
            "Steps over which the learning rate grows from zero.",
        ),
        ("준비 단계 (lr_warm_up_steps)", "학습률이 0에서 커지는 단계예요."),
        0,
        MAX_TOKENS,
    )
    lr_decay_steps: int = _setting(
        0,
        "optimiser",
        (
            "Decay (lr_decay_steps)",
            "Steps at the end over which the learning rate falls to zero. A fifth of "
            "all steps is usual.",
        ),
        (
            "감소 단계 (lr_decay_steps)",
            "마지막에 학습률이 0으로 줄어드는 단계예요. 보통 전체의 5분의 1이에요.",
        ),
        0,
        MAX_TOKENS,
    )
    adam_beta1: float = _setting(
        0.9,
        "optimiser",
        ("Adam beta 1 (adam_beta1)", "Memory of Adam's average gradient."),
        ("Adam 베타 1 (adam_beta1)", "Adam이 기울기의 평균을 기억하는 정도예요."),
        0.0,
        0.999999,
    )
    adam_beta2: float = _setting(
        0.999,
        "optimiser",
        ("Adam beta 2 (adam_beta2)", "Memory of Adam's average squared gradient."),
        ("Adam 베타 2 (adam_beta2)", "Adam이 기울기 제곱의 평균을 기억하는 정도예요."),
        0.0,
        0.999999,
    )
    train_batch_size_tokens: int = _setting(
        2048,
        "optimiser",
        (
            "Batch size in tokens (train_batch_size_tokens)",
            "How many tokens' activations make one step.",
        ),
        (
            "배치 크기(토큰) (train_batch_size_tokens)",
            "한 단계에 쓰는 토큰의 수예요.",
        ),
        1,
        MAX_BATCH,
    )
    n_batches_in_buffer: int = _setting(
        16,
        "store",
        (
            "Buffer in batches (n_batches_in_buffer)",
            "How many batches of activations are held and shuffled together.",
        ),
        (
            "버퍼 크기(배치) (n_batches_in_buffer)",
            "함께 들고 섞는 활성값 배치의 수예요.",
        ),
        2,
        4096,
    )
    store_batch_size_prompts: int = _setting(
        16,
        "store",
        (
            "Contexts at once (store_batch_size_prompts)",
            "How many contexts the model reads in one go while filling the buffer.",
        ),
        (
            "한 번에 읽는 문맥 (store_batch_size_prompts)",
            "버퍼를 채울 때 모델이 한 번에 읽는 문맥의 수예요.",
        ),
        1,
        1024,
    )
    feature_sampling_window: int = _setting(
        1000,
        "monitoring",
        (
            "Density window (feature_sampling_window)",
            "Steps over which firing rates are counted before they start again.",
        ),
        (
            "밀도 창 (feature_sampling_window)",
            "켜지는 비율을 세는 단계의 수예요. 지나면 다시 처음부터 세요.",
        ),
        1,
        1_000_000,
    )
    dead_feature_window: int = _setting(
        100,
        "monitoring",
        (
            "Dead after (dead_feature_window)",
            "A feature that has not fired for this many steps counts as dead.",
        ),
        (
            "죽음 판정 (dead_feature_window)",
            "이만큼의 단계 동안 켜지지 않은 특징은 죽은 것으로 봐요.",
        ),
        1,
        1_000_000,
    )
    seed: int = _setting(
        42,
        "monitoring",
        (
            "Seed (seed)",
            "Same seed, same settings, same machine: the same numbers.",
        ),
        (
            "시드 (seed)",
            "시드와 설정과 컴퓨터가 같으면 숫자도 같아요.",
        ),
        0,
        MAX_SEED,
    )
    device: Device = _setting(
        "auto",
        "monitoring",
        (
            "Device (device)",
            "Where to train. auto takes cuda if there is one, else mps, else cpu.",
        ),
        (
            "장치 (device)",
            "어디에서 학습할지예요. auto는 cuda, mps, cpu 순으로 있는 것을 골라요.",
        ),
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _checked(item.name, getattr(self, item.name))
            object.__setattr__(self, item.name, value)
        if self.training_tokens < self.train_batch_size_tokens:
            raise SettingError(
                "setting_tokens_below_batch",
                field="training_tokens",
                value=self.training_tokens,
                batch=self.train_batch_size_tokens,
            )
        if self.architecture == "batchtopk" and self.k > self.d_sae:
            raise SettingError(
                "setting_k_above_d_sae", field="k", value=self.k, d_sae=self.d_sae
            )
        for warm_up in ("lr_warm_up_steps", "lr_decay_steps"):
            if getattr(self, warm_up) > self.total_training_steps:
                raise SettingError(
                    "setting_range",
                    field=warm_up,
                    value=getattr(self, warm_up),
                    low=0,
                    high=self.total_training_steps,
                )
        if self.lr_warm_up_steps + self.lr_decay_steps > self.total_training_steps:
            raise SettingError(
                "setting_schedule_too_long",
                field="lr_decay_steps",
                value=self.lr_decay_steps,
                steps=self.total_training_steps,
            )

    @property
    def total_training_steps(self) -> int:
        """Steps of a whole run: as many full batches as fit in `training_tokens`."""
        return self.training_tokens // self.train_batch_size_tokens

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

        Raises:
            DamagedError: not a config of this format.
            SettingError: a setting out of range.
        """
        known = {item.name for item in fields(cls)}
        if data.get("format") != FORMAT:
            raise DamagedError("config_format", found=data.get("format"), wanted=FORMAT)
        given = {key: value for key, value in data.items() if key != "format"}
        if strange := sorted(set(given) - known):
            raise DamagedError("config_unknown_key", key=strange[0])
        return cls(**given)

    @classmethod
    def loads(cls, text: str) -> "TrainConfig":
        """`from_json` for text. Raises as it does, and DamagedError for non-JSON."""
        try:
            data = json.loads(text)
        except ValueError as problem:
            raise DamagedError("config_not_json") from problem
        if not isinstance(data, dict):
            raise DamagedError("config_not_json")
        return cls.from_json(cast("dict[str, Any]", data))


@cache
def settings() -> Mapping[str, Setting]:
    """Field name -> its words and bounds, in the order of the form."""
    return {item.name: item.metadata["setting"] for item in fields(TrainConfig)}


def choices(name: str) -> tuple[str, ...]:
    """What a setting with named alternatives accepts; empty for all the others."""
    kind = _kinds()[name]
    return get_args(kind) if hasattr(kind, "__args__") else ()


@cache
def _kinds() -> Mapping[str, Any]:
    # Resolved once: every page reads the config of every run.
    return get_type_hints(TrainConfig)


def is_number_within(
    value: Any, kind: type, low: float | None, high: float | None
) -> bool:
    """Whether `value` is a finite number of `kind` from `low` to `high`."""
    # bool is an int in Python, and a forged NaN passes every comparison.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (kind is float or value == int(value))
        and (low is None or value >= low)
        and (high is None or value <= high)
    )


def reads(config_architecture: str, name: str) -> bool:
    """Whether `name` means anything for that architecture."""
    only_for = settings()[name].only_for
    return only_for is None or only_for == config_architecture


def _checked(name: str, value: Any) -> Any:
    kind = _kinds()[name]
    accepted = choices(name)
    if accepted:
        if value not in accepted:
            raise SettingError(
                "setting_choice", field=name, value=value, choices=", ".join(accepted)
            )
        return value
    if kind is str:
        if not isinstance(value, str) or len(value) > _text_limit(name):
            raise SettingError(
                "setting_text", field=name, value=value, limit=_text_limit(name)
            )
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise SettingError(
                "setting_choice", field=name, value=value, choices="true, false"
            )
        return value
    setting = settings()[name]
    if not is_number_within(value, kind, setting.low, setting.high):
        raise SettingError(
            "setting_range",
            field=name,
            value=value,
            low=setting.low,
            high=setting.high,
        )
    return kind(value)


def _text_limit(name: str) -> int:
    # A path may be long; a name is read by people.
    return NAME_LIMIT if name == "name" else 4096


# In tokens. "Look" ends within about two minutes on two cores.
LOOK_TOKENS = 500_000
GOOD_TOKENS = 3_000_000


class Preset(NamedTuple):
    """A starting point for the form; `changes` on top of the defaults."""

    key: str
    changes: dict[str, Any]


def _scheduled(tokens: int, batch: int = 2048) -> dict[str, Any]:
    # SAELens's documentation recommends both fractions.
    steps = tokens // batch
    return {
        "training_tokens": tokens,
        "train_batch_size_tokens": batch,
        "l1_warm_up_steps": steps // 20,
        "lr_decay_steps": steps // 5,
    }


PRESETS: tuple[Preset, ...] = (
    Preset("look", _scheduled(LOOK_TOKENS)),
    Preset("good", {**_scheduled(GOOD_TOKENS), "d_sae": 2048, "lr": 1e-3}),
)
