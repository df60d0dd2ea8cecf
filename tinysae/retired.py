"""Options of SAELens's "train a basic SAE" tutorial that are no settings here, and why.

The tutorial was written for SAELens 3. Whoever follows it meets these names; each says
what became of it, in both languages. Settings that kept their name are in
`tinysae/config.py` and not repeated.
"""

from typing import Literal, NamedTuple

from tinysae.words import Language

Fate = Literal["renamed", "always", "gone", "here"]
"""What became of an option: SAELens 6 gave it another name; does it always; has dropped
it or reads it nowhere; or tinysae takes care of it by itself."""


class Retired(NamedTuple):
    """An option of the tutorial that has no setting of its name."""

    name: str
    tutorial: str
    """The value the tutorial gives it, as Python writes it."""
    fate: Fate
    en: str
    ko: str
    now: str | None = None
    """The setting to use in its place (a field of `TrainConfig`)."""

    def text(self, language: Language) -> str:
        return self.en if language == "en" else self.ko


RETIRED: tuple[Retired, ...] = (
    Retired(
        "expansion_factor",
        "16",
        "renamed",
        "The number of features is given itself: 16 times d_in (1,024) is 16,384.",
        "특징 수를 바로 적어요. d_in(1,024)의 16배면 16,384예요.",
        "d_sae",
    ),
    Retired(
        "decoder_heuristic_init",
        "True",
        "renamed",
        "Every decoder direction starts with this length; True is 0.1, False is 0 (as "
        "drawn).",
        "모든 디코더 방향이 이 길이로 시작해요. True는 0.1, False는 0(뽑힌 "
        "그대로)이에요.",
        "decoder_init_norm",
    ),
    Retired(
        "total_training_steps",
        "30_000",
        "renamed",
        "Steps times the batch size: 30,000 × 4,096 is 122,880,000 tokens.",
        "단계 수 × 배치 크기예요. 30,000 × 4,096은 1억 2288만 토큰이에요.",
        "training_tokens",
    ),
    Retired(
        "scale_sparsity_penalty_by_decoder_norm",
        "True",
        "always",
        "The penalty counts an activation times the length of what it writes.",
        "벌점은 언제나 활성값에 디코더 방향의 길이를 곱해서 세요.",
    ),
    Retired(
        "init_encoder_as_decoder_transpose",
        "True",
        "always",
        "The encoder starts as the decoder's transpose.",
        "인코더는 언제나 디코더의 전치로 시작해요.",
    ),
    Retired(
        "b_dec_init_method",
        '"zeros"',
        "always",
        "The decoder's bias starts at zero; geometric median and mean are gone.",
        "디코더의 편향은 언제나 0에서 시작해요. 기하 중앙값과 평균은 없어졌어요.",
    ),
    Retired(
        "normalize_sae_decoder",
        "False",
        "gone",
        "Decoder directions are never forced to length one while training; SAELens "
        "folds their lengths into the encoder afterwards (fold_W_dec_norm).",
        "학습하는 동안 디코더 방향의 길이를 1로 맞추지 않아요. 끝난 뒤 SAELens의 "
        "fold_W_dec_norm으로 인코더에 합칠 수 있어요.",
    ),
    Retired(
        "mse_loss_normalization",
        "None",
        "gone",
        "The squared error is taken as it is; normalise the activations instead.",
        "제곱 오차를 그대로 써요. 대신 활성값을 정규화해요.",
        "normalize_activations",
    ),
    Retired(
        "use_ghost_grads",
        "False",
        "gone",
        "Dead features are revived by the auxiliary loss of topk, batchtopk and "
        "matryoshka_batchtopk, or by jumprelu's pre_act_loss_coefficient.",
        "죽은 특징은 topk, batchtopk, matryoshka_batchtopk의 보조 손실이나 jumprelu의 "
        "pre_act_loss_coefficient가 되살려요.",
        "aux_loss_coefficient",
    ),
    Retired(
        "noise_scale",
        "0.0",
        "gone",
        "No noise is added to pre-activations any more.",
        "활성화 전 값에 더는 잡음을 넣지 않아요.",
    ),
    Retired(
        "dead_feature_threshold",
        "1e-4",
        "gone",
        "SAELens still accepts it and reads it nowhere. A feature is dead once it has "
        "not fired for dead_feature_window steps.",
        "SAELens가 받기는 하지만 어디에서도 읽지 않아요. dead_feature_window 단계 "
        "동안 켜지지 않은 특징이 죽은 특징이에요.",
        "dead_feature_window",
    ),
    Retired(
        "hook_layer",
        "0",
        "gone",
        "The layer is read from the hook's name: blocks.0 is the first.",
        "층은 훅 이름에서 알아내요. blocks.0이 첫 층이에요.",
        "hook_name",
    ),
    Retired(
        "d_in",
        "1024",
        "here",
        "The width of the hook, which the model tells.",
        "훅의 너비이고, 모델이 알려 줘요.",
        "hook_name",
    ),
    Retired(
        "eval_every_n_wandb_logs",
        "20",
        "here",
        "A look at held-out text twenty times a run, and all of it when training ends.",
        "처음 보는 글을 학습마다 스무 번 보고, 끝나면 전부 재요.",
    ),
    Retired(
        "checkpoint_path",
        '"checkpoints"',
        "here",
        "Each run keeps what it saves in a folder of its own.",
        "학습마다 저장하는 것을 자기 폴더에 둬요.",
        "n_checkpoints",
    ),
)
