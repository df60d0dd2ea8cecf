"""Every setting of a training run: its name, its words, its checks, its JSON.

Names are SAELens 6's wherever SAELens has the setting, so that a config reads the same
here, there and in a paper's appendix. The words beside a field are the only ones: the
form, `python -m tinysae train --help` and the documentation all read them from here.
No torch and no streamlit: the form must paint before either is loaded.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast, get_args, get_type_hints

from tinysae.checked_numbers import is_number_within
from tinysae.errors import DamagedError, SettingError
from tinysae.words import Language

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
Group = Literal["data", "sae", "sparsity", "optimiser", "store", "monitoring"]
GROUPS: tuple[Group, ...] = get_args(Group)

FORMAT = 1
MADE_WITH = "made_with"
NAME_LIMIT = 80
# Bounds that no sensible run on one machine passes: they catch a slipped zero.
MAX_TOKENS = 100_000_000_000
MAX_D_SAE = 1 << 20
MAX_BATCH = 1 << 17
# What a number input of a browser holds exactly.
MAX_SEED = 2**53 - 1

PENALISES_L1: tuple[Architecture, ...] = ("standard", "gated")
KEEPS_K: tuple[Architecture, ...] = ("topk", "batchtopk", "matryoshka_batchtopk")
KEEPS_K_A_BATCH: tuple[Architecture, ...] = ("batchtopk", "matryoshka_batchtopk")
JUMPRELU: tuple[Architecture, ...] = ("jumprelu",)
MATRYOSHKA: tuple[Architecture, ...] = ("matryoshka_batchtopk",)
COSINES: tuple[Scheduler, ...] = ("cosineannealing", "cosineannealingwarmrestarts")


class TextChoice(NamedTuple):
    """Which text, and how it is read; the fields of `TrainConfig` explain each."""

    path: str
    is_tokenized: bool = False
    column: str = ""
    subset: str = ""
    split: str = "train"
    streaming: bool = True


class Setting(NamedTuple):
    """The words and the bounds of one field."""

    group: Group
    en: tuple[str, str]
    """Label and help in English."""
    ko: tuple[str, str]
    """Label and help in Korean."""
    low: float | None = None
    high: float | None = None
    only_for: tuple[Architecture, ...] = ()
    """The architectures that read this setting; none named: all of them."""
    only_when: tuple[str, tuple[str | bool, ...]] | None = None
    """Another setting, and its values with which this one is read."""

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
            "The text the model reads while the SAE learns: storybook (endless "
            "generated stories), a file or folder of this machine (.txt, .jsonl, "
            ".parquet, .arrow), or a dataset of the Hugging Face hub.",
        ),
        (
            "글 (dataset_path)",
            "SAE가 배우는 동안 모델이 읽을 글이에요. storybook(끝없이 만들어지는 "
            "이야기), 이 컴퓨터의 파일이나 폴더(.txt, .jsonl, .parquet, .arrow), "
            "Hugging Face 허브의 데이터셋을 쓸 수 있어요.",
        ),
    )
    is_dataset_tokenized: bool = _setting(
        False,
        "data",
        (
            "Already tokens (is_dataset_tokenized)",
            "The dataset holds token ids rather than text. They must be of this "
            "model's tokenizer.",
        ),
        (
            "이미 토큰 (is_dataset_tokenized)",
            "데이터셋에 글 대신 토큰 번호가 들어 있어요. 이 모델의 토크나이저로 만든 "
            "것이어야 해요.",
        ),
    )
    dataset_column: str = _setting(
        "",
        "data",
        (
            "Column (dataset_column)",
            "The column that is read, where there are several. Empty: found by its "
            "name and kind.",
        ),
        (
            "열 (dataset_column)",
            "열이 여럿일 때 읽을 열이에요. 비워 두면 이름과 종류를 보고 찾아요.",
        ),
    )
    dataset_name: str = _setting(
        "",
        "data",
        (
            "Subset (dataset_name)",
            "The subset of a hub dataset that has several, as in load_dataset's name.",
        ),
        (
            "하위 집합 (dataset_name)",
            "허브 데이터셋에 하위 집합이 여럿일 때 읽을 것이에요. load_dataset의 "
            "name과 같아요.",
        ),
    )
    dataset_split: str = _setting(
        "train",
        "data",
        (
            "Split (dataset_split)",
            "The split of a hub dataset that is read. A tenth of it is kept apart for "
            "evaluation, whatever the split.",
        ),
        (
            "스플릿 (dataset_split)",
            "허브 데이터셋에서 읽을 스플릿이에요. 어떤 스플릿이든 10분의 1은 "
            "평가용으로 따로 떼어 둬요.",
        ),
    )
    streaming: bool = _setting(
        True,
        "data",
        (
            "Stream (streaming)",
            "Reads a hub dataset over the network while training. Off: the run "
            "downloads it whole first, which can be stopped and gone on with, and "
            "reads it from this disk.",
        ),
        (
            "스트리밍 (streaming)",
            "허브 데이터셋을 학습하면서 네트워크로 조금씩 읽어요. 끄면 학습을 "
            "시작할 때 먼저 전부 내려받아 이 디스크에서 읽어요. 멈췄다가 이어서 "
            "받을 수 있어요.",
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
    exclude_special_tokens: bool = _setting(
        False,
        "data",
        (
            "Leave out the first token (exclude_special_tokens)",
            "Trains on no token that only marks where a text begins (BOS). In many "
            "models its residual stream is a hundred times as long as any other, and "
            "an SAE that has to copy it learns little else. The token after it counts "
            "twice instead.",
        ),
        (
            "첫 토큰 빼기 (exclude_special_tokens)",
            "글의 시작을 나타낼 뿐인 토큰(BOS)은 학습하지 않아요. 많은 모델에서 이 "
            "토큰의 잔차 스트림은 다른 토큰의 백 배나 커서, 그것까지 베껴야 하는 SAE는 "
            "다른 것을 거의 배우지 못해요. 그 대신 바로 뒤 토큰을 두 번 세요.",
        ),
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
            "the tutorial. topk: exactly the k strongest features of every token. "
            "batchtopk: k features a token on average over a batch, which SAELens "
            "advises first. jumprelu: each feature learns its own threshold, and "
            "active features are counted (L0). gated: one part decides what is on, "
            "another how strongly. matryoshka_batchtopk: a batchtopk whose first "
            "features must also do on their own, which keeps general features whole.",
        ),
        (
            "구조 (architecture)",
            "SAE를 희소하게 유지하는 방법이에요. standard는 튜토리얼처럼 활성값에 "
            "벌점(L1)을 줘요. topk는 토큰마다 가장 센 특징 k개만 남겨요. batchtopk는 "
            "배치 평균으로 토큰당 k개를 남기고, SAELens가 먼저 권하는 방법이에요. "
            "jumprelu는 특징마다 문턱값을 배우고 켜진 특징의 수(L0)에 벌점을 줘요. "
            "gated는 무엇을 켤지와 얼마나 셀지를 따로 정해요. matryoshka_batchtopk는 "
            "앞쪽 특징만으로도 복원하게 해서 일반적인 특징이 쪼개지지 않게 해요.",
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
    matryoshka_widths: str = _setting(
        "",
        "sae",
        (
            "Nested widths (matryoshka_widths)",
            "The first so many features that must reconstruct on their own, in rising "
            "order: 128, 512. All features together always come last. Empty: a "
            "sixteenth and a quarter of all features.",
        ),
        (
            "겹친 너비 (matryoshka_widths)",
            "그만큼의 앞쪽 특징만으로도 복원해야 하는 너비예요. 128, 512처럼 커지는 "
            "순서로 적어요. 마지막은 언제나 특징 전체예요. 비워 두면 전체의 16분의 "
            "1과 4분의 1을 써요.",
        ),
        only_for=MATRYOSHKA,
    )
    rescale_acts_by_decoder_norm: bool = _setting(
        True,
        "sae",
        (
            "Weigh by the decoder's norm (rescale_acts_by_decoder_norm)",
            "Chooses the strongest features by what they write, not by the size of "
            "their activation alone: the decoder's directions then count as if they "
            "all had length one.",
        ),
        (
            "디코더 크기로 견주기 (rescale_acts_by_decoder_norm)",
            "활성값의 크기만이 아니라 실제로 쓰는 양으로 가장 센 특징을 골라요. "
            "디코더 방향의 길이를 모두 1로 보는 것과 같아요.",
        ),
        only_for=KEEPS_K,
    )
    dtype: Dtype = _setting(
        "float32",
        "sae",
        (
            "Number format (dtype)",
            "Of the SAE's weights and of the activations it reads. bfloat16 takes half "
            "the memory and is coarser; on a CPU it is not faster.",
        ),
        (
            "수 형식 (dtype)",
            "SAE의 가중치와 SAE가 읽는 활성값의 형식이에요. bfloat16은 메모리를 반만 "
            "쓰지만 덜 정밀하고, CPU에서는 더 빠르지 않아요.",
        ),
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
        only_when=("normalize_activations", ("expected_average_only_in",)),
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
            "The length of every decoder direction at the start. 0: as they are drawn.",
        ),
        (
            "디코더 초기 크기 (decoder_init_norm)",
            "학습을 시작할 때 디코더 방향의 길이예요. 0이면 뽑힌 그대로 둬요.",
        ),
        0.0,
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
        PENALISES_L1,
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
        PENALISES_L1,
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
        ("standard",),
    )
    k: float = _setting(
        24.0,
        "sparsity",
        (
            "Active features a token (k)",
            "How many features stay on for a token: for topk exactly (a whole number), "
            "else on average over a batch.",
        ),
        (
            "토큰당 특징 수 (k)",
            "한 토큰에서 켜진 채 남는 특징의 수예요. topk에서는 꼭 그만큼(정수)이고, "
            "다른 구조에서는 배치 전체의 평균이에요.",
        ),
        1.0,
        float(MAX_D_SAE),
        KEEPS_K,
    )
    topk_threshold_lr: float = _setting(
        0.01,
        "sparsity",
        (
            "Threshold's learning rate (topk_threshold_lr)",
            "How fast the one threshold follows the weakest activation that was kept. "
            "It takes k's place once the SAE is trained.",
        ),
        (
            "문턱값 학습률 (topk_threshold_lr)",
            "하나뿐인 문턱값이 남은 활성값 중 가장 약한 것을 따라가는 빠르기예요. "
            "학습이 끝나면 이 문턱값이 k를 대신해요.",
        ),
        1e-6,
        1.0,
        KEEPS_K_A_BATCH,
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
        KEEPS_K,
    )
    use_matryoshka_aux_loss: bool = _setting(
        False,
        "sparsity",
        (
            "Help dead features by level (use_matryoshka_aux_loss)",
            "Lets features that never fire learn the error of their own level rather "
            "than that of all features. Revives more of them, and is slower.",
        ),
        (
            "단계마다 죽은 특징 돕기 (use_matryoshka_aux_loss)",
            "켜지지 않는 특징이 전체의 오차가 아니라 자기 단계의 오차를 배우게 해요. "
            "더 많이 살아나지만 느려져요.",
        ),
        only_for=MATRYOSHKA,
    )
    jumprelu_sparsity_loss_mode: SparsityLoss = _setting(
        "step",
        "sparsity",
        (
            "What is penalised (jumprelu_sparsity_loss_mode)",
            "step: the number of active features (DeepMind). tanh: their activations, "
            "up to a limit (Anthropic). quadratic: how far their number is from "
            "target_l0 (Gemma Scope 2).",
        ),
        (
            "벌점을 주는 것 (jumprelu_sparsity_loss_mode)",
            "step은 켜진 특징의 수에 벌점을 줘요(DeepMind). tanh는 한도 안에서 "
            "활성값에 줘요(Anthropic). quadratic은 켜진 수가 target_l0에서 먼 만큼 "
            "줘요(Gemma Scope 2).",
        ),
        only_for=JUMPRELU,
    )
    # jumprelu has Anthropic's threshold, bandwidth and estimator. With SAELens's own
    # defaults (0.01, 0.05, False) a few hundred steps hardly move a threshold: a run of
    # 0.5M tokens ended with 300 active features a token rather than 30.
    l0_coefficient: float = _setting(
        0.5,
        "sparsity",
        (
            "Sparsity penalty (l0_coefficient)",
            "How much activity costs. Higher: fewer active features (lower L0) and a "
            "worse reconstruction.",
        ),
        (
            "희소성 벌점 (l0_coefficient)",
            "켜진 특징에 매기는 벌점이에요. 높이면 켜지는 특징이 줄고(L0 감소) 복원은 "
            "나빠져요.",
        ),
        0.0,
        1e6,
        JUMPRELU,
    )
    l0_warm_up_steps: int = _setting(
        0,
        "sparsity",
        (
            "Penalty warm-up (l0_warm_up_steps)",
            "Steps over which the penalty grows from zero.",
        ),
        (
            "벌점 준비 단계 (l0_warm_up_steps)",
            "벌점이 0에서 시작해 다 커질 때까지의 단계예요.",
        ),
        0,
        MAX_TOKENS,
        JUMPRELU,
    )
    target_l0: float = _setting(
        24.0,
        "sparsity",
        (
            "Wanted active features (target_l0)",
            "The number of active features a token that the quadratic penalty aims at.",
        ),
        (
            "바라는 활성 특징 수 (target_l0)",
            "quadratic 벌점이 겨냥하는, 토큰당 켜진 특징의 수예요.",
        ),
        1e-3,
        float(MAX_D_SAE),
        JUMPRELU,
        ("jumprelu_sparsity_loss_mode", ("quadratic",)),
    )
    jumprelu_tanh_scale: float = _setting(
        4.0,
        "sparsity",
        (
            "Slope of the tanh (jumprelu_tanh_scale)",
            "How soon a growing activation stops costing more.",
        ),
        (
            "tanh의 기울기 (jumprelu_tanh_scale)",
            "활성값이 커져도 벌점이 더 늘지 않게 되는 빠르기예요.",
        ),
        1e-6,
        1e6,
        JUMPRELU,
        ("jumprelu_sparsity_loss_mode", ("tanh",)),
    )
    jumprelu_init_threshold: float = _setting(
        0.1,
        "sparsity",
        (
            "Threshold at the start (jumprelu_init_threshold)",
            "Above what a feature is on before anything is learnt. Anthropic: 0.1, "
            "DeepMind: 0.001.",
        ),
        (
            "처음 문턱값 (jumprelu_init_threshold)",
            "배우기 전에 특징이 켜지는 문턱값이에요. Anthropic은 0.1, DeepMind는 "
            "0.001을 써요.",
        ),
        0.0,
        1e3,
        JUMPRELU,
    )
    jumprelu_bandwidth: float = _setting(
        2.0,
        "sparsity",
        (
            "Bandwidth (jumprelu_bandwidth)",
            "How near to its threshold an activation must be to move it. Wider: a "
            "smoother and less exact gradient. Anthropic: 2, DeepMind: 0.001.",
        ),
        (
            "대역폭 (jumprelu_bandwidth)",
            "활성값이 문턱값에 얼마나 가까워야 문턱값을 움직이는지예요. 넓히면 "
            "기울기가 매끄러워지고 덜 정확해져요. Anthropic은 2, DeepMind는 0.001을 "
            "써요.",
        ),
        1e-6,
        1e3,
        JUMPRELU,
    )
    jumprelu_ste_to_input: bool = _setting(
        True,
        "sparsity",
        (
            "Threshold's gradient to the encoder (jumprelu_ste_to_input)",
            "Off: it trains the thresholds alone (DeepMind). On: the encoder too "
            "(Anthropic).",
        ),
        (
            "문턱값 기울기를 인코더에도 (jumprelu_ste_to_input)",
            "끄면 문턱값만 배우고(DeepMind), 켜면 인코더도 함께 배워요(Anthropic).",
        ),
        only_for=JUMPRELU,
    )
    pre_act_loss_coefficient: float = _setting(
        0.0,
        "sparsity",
        (
            "Help for dead features (pre_act_loss_coefficient)",
            "Weight of the loss that pushes features that never fire towards their "
            "threshold. Anthropic uses 3e-6; 0: off.",
        ),
        (
            "죽은 특징 돕기 (pre_act_loss_coefficient)",
            "켜지지 않는 특징을 문턱값 쪽으로 미는 손실의 무게예요. Anthropic은 "
            "3e-6을 써요. 0이면 꺼요.",
        ),
        0.0,
        1e6,
        JUMPRELU,
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
    lr_scheduler_name: Scheduler = _setting(
        "constant",
        "optimiser",
        (
            "Schedule (lr_scheduler_name)",
            "What the learning rate does between warm-up and decay: constant; "
            "cosineannealing: falls to lr_end along a cosine; "
            "cosineannealingwarmrestarts: falls so several times.",
        ),
        (
            "학습률 일정 (lr_scheduler_name)",
            "준비와 감소 단계 사이의 학습률이에요. constant는 그대로 두고, "
            "cosineannealing은 코사인을 따라 lr_end까지 낮추고, "
            "cosineannealingwarmrestarts는 그것을 여러 번 되풀이해요.",
        ),
    )
    lr_end: float = _setting(
        0.0,
        "optimiser",
        (
            "Last learning rate (lr_end)",
            "Where the cosine ends. 0: a tenth of lr.",
        ),
        (
            "마지막 학습률 (lr_end)",
            "코사인이 끝나는 값이에요. 0이면 lr의 10분의 1이에요.",
        ),
        0.0,
        1.0,
        only_when=("lr_scheduler_name", COSINES),
    )
    n_restart_cycles: int = _setting(
        1,
        "optimiser",
        (
            "Cosines in a row (n_restart_cycles)",
            "How often the learning rate starts again from the top. Steps that are "
            "left over after whole cycles begin one more.",
        ),
        (
            "코사인 횟수 (n_restart_cycles)",
            "학습률이 처음 값에서 다시 시작하는 횟수예요. 나누고 남는 단계가 있으면 "
            "한 번 더 시작해요.",
        ),
        1,
        1000,
        only_when=("lr_scheduler_name", ("cosineannealingwarmrestarts",)),
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
    n_checkpoints: int = _setting(
        0,
        "monitoring",
        (
            "Checkpoints (n_checkpoints)",
            "How many times on the way the weights are kept, at even distances.",
        ),
        (
            "체크포인트 (n_checkpoints)",
            "학습 중간에 같은 간격으로 가중치를 보관하는 횟수예요.",
        ),
        0,
        1000,
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

    log_to_wandb: bool = _setting(
        False,
        "monitoring",
        (
            "Weights & Biases (log_to_wandb)",
            "Also logs the curves to Weights & Biases, under SAELens's names. With a "
            "key on this machine (“wandb login” or WANDB_API_KEY) they go there; "
            "without one they stay in the run's folder, to be sent later.",
        ),
        (
            "Weights & Biases (log_to_wandb)",
            "곡선을 SAELens의 이름으로 Weights & Biases에도 기록해요. 이 컴퓨터에 키가 "
            "있으면(“wandb login”이나 WANDB_API_KEY) 그곳으로 보내고, 없으면 학습 "
            "폴더에 남겨 두어 나중에 보낼 수 있어요.",
        ),
    )
    wandb_project: str = _setting(
        "sae_lens_training",
        "monitoring",
        ("Project (wandb_project)", "The project at Weights & Biases."),
        ("프로젝트 (wandb_project)", "Weights & Biases의 프로젝트예요."),
        only_when=("log_to_wandb", (True,)),
    )
    wandb_entity: str = _setting(
        "",
        "monitoring",
        (
            "Account or team (wandb_entity)",
            "Whose project it is. Empty: your own account's.",
        ),
        (
            "계정이나 팀 (wandb_entity)",
            "누구의 프로젝트인지예요. 비워 두면 내 계정이에요.",
        ),
        only_when=("log_to_wandb", (True,)),
    )
    wandb_log_frequency: int = _setting(
        10,
        "monitoring",
        (
            "Steps a point (wandb_log_frequency)",
            "A point is logged every so many steps.",
        ),
        ("기록 간격 (wandb_log_frequency)", "이만큼의 단계마다 한 점을 기록해요."),
        1,
        1_000_000,
        only_when=("log_to_wandb", (True,)),
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value = _checked(item.name, getattr(self, item.name))
            object.__setattr__(self, item.name, value)
        self._check_sparsity()
        self._check_schedule()
        self._check_wandb()

    def _check_sparsity(self) -> None:
        if self.architecture in KEEPS_K and self.k > self.d_sae:
            raise SettingError(
                "setting_k_above_d_sae", field="k", value=self.k, d_sae=self.d_sae
            )
        if self.architecture == "topk" and self.k != int(self.k):
            raise SettingError("setting_k_not_whole", field="k", value=self.k)
        if is_read("target_l0", vars(self)) and self.target_l0 > self.d_sae:
            raise SettingError(
                "setting_range",
                field="target_l0",
                value=self.target_l0,
                low=0,
                high=self.d_sae,
            )
        if self.architecture in MATRYOSHKA:
            widths = [0, *self.matryoshka_levels]
            if any(low >= high for low, high in pairwise(widths)):
                raise self._widths_error()

    def _check_schedule(self) -> None:
        steps = self.total_training_steps
        if steps < 1:
            raise SettingError(
                "setting_tokens_below_batch",
                field="training_tokens",
                value=self.training_tokens,
                batch=self.train_batch_size_tokens,
            )
        for name in ("lr_warm_up_steps", "lr_decay_steps", "n_checkpoints"):
            if (value := getattr(self, name)) > steps:
                raise SettingError(
                    "setting_range", field=name, value=value, low=0, high=steps
                )
        for name in ("l1_warm_up_steps", "l0_warm_up_steps"):
            value = getattr(self, name)
            if reads(self.architecture, name) and value > steps:
                raise SettingError(
                    "setting_warm_up_too_long", field=name, value=value, steps=steps
                )
        between = steps - self.lr_warm_up_steps - self.lr_decay_steps
        if between < 0:
            raise SettingError(
                "setting_schedule_too_long",
                field="lr_decay_steps",
                value=self.lr_decay_steps,
                steps=steps,
            )
        if self.lr_scheduler_name not in COSINES:
            return
        if self.lr_end > self.lr:
            raise SettingError(
                "setting_lr_end_above_lr",
                field="lr_end",
                value=self.lr_end,
                lr=self.lr,
            )
        is_one = self.lr_scheduler_name == "cosineannealing"
        cycles = 1 if is_one else self.n_restart_cycles
        if between < cycles:
            raise SettingError(
                "setting_cosine_without_steps",
                field="lr_scheduler_name" if is_one else "n_restart_cycles",
                value=self.lr_scheduler_name if is_one else cycles,
                between=between,
            )

    def _check_wandb(self) -> None:
        for name in ("wandb_project", "wandb_entity"):
            value = getattr(self, name)
            is_name = re.fullmatch(r"[A-Za-z0-9._-]{1,128}", value)
            if not is_name and (value or name == "wandb_project"):
                raise SettingError("setting_wandb", field=name, value=value[:80])

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

    def _widths_error(self) -> SettingError:
        return SettingError(
            "setting_widths",
            field="matryoshka_widths",
            value=self.matryoshka_widths[:80],
            d_sae=self.d_sae,
        )

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
            raise DamagedError("config_format", found=data.get("format"), wanted=FORMAT)
        given = {
            key: value
            for key, value in data.items()
            if key not in ("format", MADE_WITH)
        }
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


def reads(architecture: str, name: str) -> bool:
    """Whether `name` means anything for that architecture."""
    only_for = settings()[name].only_for
    return not only_for or architecture in only_for


def is_read(name: str, values: Mapping[str, Any]) -> bool:
    """Whether `name` changes anything, the other settings being `values`.

    A form shows a setting only while it does; whoever is not in `values` has no say.
    """
    when = settings()[name].only_when
    return reads(values["architecture"], name) and (
        when is None or values.get(when[0], when[1][0]) in when[1]
    )


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
