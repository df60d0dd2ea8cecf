"""Starting points for a run: a quick look, a good one, and the tutorial's own.

The tutorial is SAELens's "train a basic SAE", written for SAELens 3. Its options that
are no settings here are listed too, for whoever follows it and meets their names.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tinysae.config import TrainConfig
from tinysae.words import Language, text

# In tokens. "Look" ends within about two minutes on two cores.
LOOK_TOKENS = 1_000_000
GOOD_TOKENS = 3_000_000
# Small ones: of 500,000 tokens, steps of 2,048 gave 53 of 512 features a sure name,
# steps of 1,024 gave it to 103 and steps of 512 to 144, in the same time; of a million
# tokens, steps of 512 to 199 and steps of 256 to 236. The wider SAE pays more for each.
LOOK_BATCH, GOOD_BATCH = 256, 512
# What a feature has to fire in, or counts as dead; of either batch.
DEAD_WINDOW_TOKENS = 51_200


class Preset(NamedTuple):
    """A starting point for the form; `changes` on top of the defaults."""

    key: str
    changes: dict[str, Any]

    @property
    def config(self) -> TrainConfig:
        """The preset as it stands. Its model and text may not be at hand."""
        return TrainConfig(**self.changes)

    def on(self, model_name: str) -> "Preset":
        """The preset for another model: what was found best for its own says nothing
        of where to look in that one, which may not even have such a hook."""
        if model_name == self.config.model_name:
            return self
        general = {key: v for key, v in self.changes.items() if key != "hook_name"}
        return self._replace(changes={**general, "model_name": model_name})

    def changed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Its changes and on top of them `given`; of a run of another length what is
        counted in steps is of that length, too."""
        both = {**self.changes, **given}
        if not given.keys() & {"training_tokens", "train_batch_size_tokens"}:
            return both
        tokens, batch = both["training_tokens"], both["train_batch_size_tokens"]
        return {**self.changes, **_scheduled(tokens, max(1, batch)), **given}

    @property
    def needs(self) -> tuple[str, str]:
        """The model (model_name) and the text (dataset_path) it trains on."""
        return self.config.model_name, self.config.dataset_path


def _scheduled(tokens: int, batch: int) -> dict[str, Any]:
    # SAELens's documentation recommends both fractions.
    steps = tokens // batch
    return {
        "training_tokens": tokens,
        "train_batch_size_tokens": batch,
        "l1_warm_up_steps": steps // 20,
        "l0_warm_up_steps": steps // 20,
        "lr_decay_steps": steps // 5,
    }


def _of_storybook(tokens: int, batch: int) -> dict[str, Any]:
    # What the embedded model's MLP reads, in nested dictionaries: there more features
    # are about something that can be said than elsewhere.
    return {
        **_scheduled(tokens, batch),
        "hook_name": "blocks.0.hook_resid_mid",
        "architecture": "matryoshka_batchtopk",
        "dead_feature_window": DEAD_WINDOW_TOKENS // batch,
    }


# The tutorial number for number, under today's names.
_TUTORIAL: dict[str, Any] = {
    "model_name": "tiny-stories-1L-21M",
    "hook_name": "blocks.0.hook_mlp_out",
    "dataset_path": "apollo-research/roneneldan-TinyStories-tokenizer-gpt2",
    "is_dataset_tokenized": True,
    "streaming": True,
    "context_size": 512,
    "architecture": "standard",
    # expansion_factor 16 of a d_in of 1024.
    "d_sae": 16 * 1024,
    "dtype": "float32",
    "normalize_activations": "expected_average_only_in",
    "n_batches_for_norm_estimate": 1000,
    "apply_b_dec_to_input": False,
    "decoder_init_norm": 0.1,
    "l1_coefficient": 5.0,
    "lp_norm": 1.0,
    "lr": 5e-5,
    "lr_scheduler_name": "constant",
    "lr_warm_up_steps": 0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "n_batches_in_buffer": 64,
    "store_batch_size_prompts": 16,
    "feature_sampling_window": 1000,
    "dead_feature_window": 1000,
    "n_checkpoints": 0,
    "seed": 42,
    # 30,000 steps: warm-up of the penalty 1,500, decay 6,000.
    **_scheduled(122_880_000, batch=4096),
}

PRESETS: tuple[Preset, ...] = (
    Preset("look", {**_of_storybook(LOOK_TOKENS, LOOK_BATCH), "d_sae": 512}),
    Preset("good", {**_of_storybook(GOOD_TOKENS, GOOD_BATCH), "d_sae": 2048}),
    Preset("tutorial", _TUTORIAL),
)

Fate = Literal["renamed", "always", "gone", "here"]
"""What became of an option: SAELens 6 gave it another name; does it always; has dropped
it or reads it nowhere; or tinysae takes care of it by itself."""


class Retired(NamedTuple):
    """An option of the tutorial that has no setting of its name."""

    name: str
    tutorial: str
    """The value the tutorial gives it, as Python writes it."""
    fate: Fate
    now: str | None = None
    """The setting to use in its place (a field of `TrainConfig`)."""

    def why(self, language: Language) -> str:
        """What became of it, as one or two sentences."""
        return text(f"retired.{self.name}", language)


RETIRED: tuple[Retired, ...] = (
    Retired("expansion_factor", "16", "renamed", "d_sae"),
    Retired("decoder_heuristic_init", "True", "renamed", "decoder_init_norm"),
    Retired("total_training_steps", "30_000", "renamed", "training_tokens"),
    Retired("scale_sparsity_penalty_by_decoder_norm", "True", "always"),
    Retired("init_encoder_as_decoder_transpose", "True", "always"),
    Retired("b_dec_init_method", '"zeros"', "always"),
    Retired("normalize_sae_decoder", "False", "gone"),
    Retired("mse_loss_normalization", "None", "gone", "normalize_activations"),
    Retired("use_ghost_grads", "False", "gone", "aux_loss_coefficient"),
    Retired("noise_scale", "0.0", "gone"),
    Retired("dead_feature_threshold", "1e-4", "gone", "dead_feature_window"),
    Retired("hook_layer", "0", "gone", "hook_name"),
    Retired("d_in", "1024", "here", "hook_name"),
    Retired("eval_every_n_wandb_logs", "20", "here"),
    Retired("checkpoint_path", '"checkpoints"', "here", "n_checkpoints"),
)
