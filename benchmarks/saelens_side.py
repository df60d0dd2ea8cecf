"""SAELens's own side of a comparison: its kind of model, our settings in its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from sae_lens import LanguageModelSAERunnerConfig
from sae_lens.config import LoggingConfig
from transformer_lens import HookedTransformer
from transformer_lens.loading_from_pretrained import (
    get_pretrained_model_config,
    get_pretrained_state_dict,
)

from tinysae.config import TrainConfig
from tinysae.model.sources import STORYBOOK_DIR
from tinysae.sae.architectures import build_training_sae


def saelens_model(
    path: str = str(STORYBOOK_DIR), device: str = "cpu"
) -> HookedTransformer:
    """A model on disk as SAELens would load it by name: weights unprocessed."""
    config = get_pretrained_model_config(path, device=device)
    model = HookedTransformer(config)
    model.load_and_process_state_dict(
        get_pretrained_state_dict(path, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return model.to(device).eval()


def runner_config(
    config: TrainConfig,
    d_in: int,
    logger: LoggingConfig,
    out: Path | None = None,
    device: str = "cpu",
) -> LanguageModelSAERunnerConfig[Any]:
    """The same settings for SAELens, which counts its buffer in contexts."""
    batch, context = config.train_batch_size_tokens, config.context_size
    state = torch.get_rng_state()
    sae = build_training_sae(config, d_in, "cpu").cfg
    torch.set_rng_state(state)
    return LanguageModelSAERunnerConfig(
        sae=sae,
        model_name=config.model_name,
        hook_name=config.hook_name,
        dataset_path=config.dataset_path,
        context_size=context,
        n_batches_in_buffer=config.n_batches_in_buffer * batch // context,
        training_tokens=config.training_tokens,
        store_batch_size_prompts=config.store_batch_size_prompts,
        train_batch_size_tokens=batch,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        lr=config.lr,
        lr_warm_up_steps=config.lr_warm_up_steps,
        lr_decay_steps=config.lr_decay_steps,
        dead_feature_window=config.dead_feature_window,
        feature_sampling_window=config.feature_sampling_window,
        n_batches_for_norm_estimate=config.n_batches_for_norm_estimate,
        checkpoint_path=None,
        output_path=None if out is None else str(out),
        device=device,
        verbose=False,
        logger=logger,
    )
