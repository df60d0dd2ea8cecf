"""SAELens's final files, and the settings as its own runner has them."""

import copy
import json
from pathlib import Path
from typing import Any

from tinysae.config import TrainConfig
from tinysae.sae.architectures import fold_activation_norm, shared_settings
from tinysae.sae.device import is_autocast
from tinysae.sae.load import RUNNER_CFG_NAME, SPARSITY_NAME
from tinysae.sae.look import firing_rates

# What SAELens's runner copies from its config into the SAE's metadata.
_METADATA = (
    "dataset_path",
    "hook_name",
    "model_name",
    "model_class_name",
    "hook_head_index",
    "context_size",
    "seqpos_slice",
    "prepend_bos",
    "exclude_special_tokens",
    "sequence_separator_token",
    "disable_concat_sequences",
)


def save_sae(trainer: Any, runner: dict[str, Any], folder: Path) -> None:
    """Writes SAELens's final files into `folder`; training can go on after this.

    Args:
        trainer: SAELens's, whose SAE is written.
        runner: `runner_config` of the same run, as a dict.

    Raises:
        OSError: the folder cannot be written.
    """
    from safetensors.torch import save_file

    # Folding changes the weights: done on a copy, the training stays as it is.
    trainer.sae, training = copy.deepcopy(trainer.sae), trainer.sae
    try:
        sae, scale = trainer.sae, trainer.activation_scaler.scaling_factor
        # Ours lies in memory by feature, which safetensors does not write.
        sae.W_enc.data = sae.W_enc.data.contiguous()
        if scale is not None:
            fold_activation_norm(sae, scale)
        sae.cfg.normalize_activations = "none"
        for name in _METADATA:
            setattr(sae.cfg.metadata, name, runner[name])
        trainer.set_final_sae_metadata()
        sae.save_inference_model(folder)
    finally:
        trainer.sae = training
    # log10 with SAELens's epsilon, so that its own tools read the file.
    sparsity = (firing_rates(trainer) + 1e-10).log10().cpu().contiguous()
    save_file({"sparsity": sparsity}, folder / SPARSITY_NAME)
    (folder / RUNNER_CFG_NAME).write_text(json.dumps(runner))


def runner_config(config: TrainConfig, sae: Any) -> Any:
    """The same run as SAELens's own runner would be told it."""
    from sae_lens.config import LanguageModelSAERunnerConfig, LoggingConfig

    shared = shared_settings(config, LanguageModelSAERunnerConfig)
    device = str(sae.cfg.device)
    return LanguageModelSAERunnerConfig(
        **{**shared, "device": device, "lr_end": config.lr_end or None},
        autocast=is_autocast(config.precision, device),
        sae=sae.cfg,
        checkpoint_path=None,
        output_path=None,
        verbose=False,
        logger=LoggingConfig(log_to_wandb=False),
    )
