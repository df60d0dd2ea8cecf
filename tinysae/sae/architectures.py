"""The settings of a run -> SAELens's training module of its architecture.

Settings have SAELens's own names and are handed on by name. Adding an architecture of
SAELens's: its name and who reads what in `tinysae/setting.py`, settings of its own in
`tinysae/config.py`, and `_as_saelens` for a value that SAELens wants in another form.
"""

from dataclasses import fields
from typing import Any

from tinysae.config import KEEPS_WHOLE_K, TrainConfig


def build_training_sae(config: TrainConfig, d_in: int, device: str) -> Any:
    """SAELens's freshly initialised training module of the config's architecture.

    Its first weights are drawn on the CPU: the same of a seed on every device.
    """
    from sae_lens.registry import get_sae_training_class

    sae_class, config_class = get_sae_training_class(config.architecture)
    settings = shared_settings(config, config_class)
    other = {name: v for name, v in _as_saelens(config).items() if name in settings}
    settings |= {**other, "d_in": d_in, "device": "cpu"}
    return sae_class(config_class(**settings)).to(device)


def shared_settings(config: TrainConfig, config_class: type[Any]) -> dict[str, Any]:
    """The settings that a configuration of SAELens's has under the same name."""
    known = {field.name for field in fields(config_class)}
    return {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name in known
    }


def _as_saelens(config: TrainConfig) -> dict[str, Any]:
    """The settings whose values SAELens writes in another way."""
    is_quadratic = config.jumprelu_sparsity_loss_mode == "quadratic"
    return {
        "decoder_init_norm": config.decoder_init_norm or None,
        "k": int(config.k) if config.architecture in KEEPS_WHOLE_K else config.k,
        "target_l0": config.target_l0 if is_quadratic else None,
        # SAELens skips the term for None only.
        "pre_act_loss_coefficient": config.pre_act_loss_coefficient or None,
        "matryoshka_widths": config.matryoshka_levels,
    }


def fold_activation_norm(sae: Any, scaling_factor: float) -> None:
    """Folds the activations' scale into the weights, so that they read raw ones.

    Pre-activations stay as they were, so that biases and JumpReLU's thresholds do too.
    SAELens 6.54 also leaves `topk_threshold` in the units of training. But with
    `rescale_acts_by_decoder_norm` its activations are pre-activations times the
    decoder's norms, which the fold divides by the factor: unless the threshold is
    divided too, the saved JumpReLU is too sparse (or too dense) by it.
    """
    sae.fold_activation_norm_scaling_factor(scaling_factor)
    if hasattr(sae, "topk_threshold") and sae.cfg.rescale_acts_by_decoder_norm:
        sae.topk_threshold /= scaling_factor
