"""Architecture name -> SAELens's training module: the registry.

Adding an architecture: one function here, its settings in `tinysae/config.py`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinysae.config import Architecture, TrainConfig

if TYPE_CHECKING:
    from sae_lens.saes.sae import TrainingSAE

Builder = Callable[[TrainConfig, dict[str, Any]], "TrainingSAE[Any]"]


def build_training_sae(config: TrainConfig, d_in: int, device: str) -> Any:
    """SAELens's freshly initialised training module of the config's architecture."""
    shared = {
        "d_in": d_in,
        "d_sae": config.d_sae,
        "dtype": config.dtype,
        "device": device,
        "normalize_activations": config.normalize_activations,
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
        "decoder_init_norm": config.decoder_init_norm or None,
    }
    return _BUILDERS[config.architecture](config, shared)


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


def _standard(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig

    return StandardTrainingSAE(
        StandardTrainingSAEConfig(
            **shared,
            l1_coefficient=config.l1_coefficient,
            l1_warm_up_steps=config.l1_warm_up_steps,
            lp_norm=config.lp_norm,
        )
    )


def _topk(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig

    return TopKTrainingSAE(
        TopKTrainingSAEConfig(**shared, **_kept(config), k=int(config.k))
    )


def _batchtopk(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

    return BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(
            **shared,
            **_kept(config),
            k=config.k,
            topk_threshold_lr=config.topk_threshold_lr,
        )
    )


def _jumprelu(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig

    mode = config.jumprelu_sparsity_loss_mode
    return JumpReLUTrainingSAE(
        JumpReLUTrainingSAEConfig(
            **shared,
            jumprelu_init_threshold=config.jumprelu_init_threshold,
            jumprelu_bandwidth=config.jumprelu_bandwidth,
            jumprelu_sparsity_loss_mode=mode,
            jumprelu_tanh_scale=config.jumprelu_tanh_scale,
            jumprelu_ste_to_input=config.jumprelu_ste_to_input,
            l0_coefficient=config.l0_coefficient,
            l0_warm_up_steps=config.l0_warm_up_steps,
            target_l0=config.target_l0 if mode == "quadratic" else None,
            # SAELens skips the term for None only.
            pre_act_loss_coefficient=config.pre_act_loss_coefficient or None,
        )
    )


def _gated(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import GatedTrainingSAE, GatedTrainingSAEConfig

    return GatedTrainingSAE(
        GatedTrainingSAEConfig(
            **shared,
            l1_coefficient=config.l1_coefficient,
            l1_warm_up_steps=config.l1_warm_up_steps,
        )
    )


def _matryoshka(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )

    return MatryoshkaBatchTopKTrainingSAE(
        MatryoshkaBatchTopKTrainingSAEConfig(
            **shared,
            **_kept(config),
            k=config.k,
            topk_threshold_lr=config.topk_threshold_lr,
            matryoshka_widths=config.matryoshka_levels,
            use_matryoshka_aux_loss=config.use_matryoshka_aux_loss,
        )
    )


def _kept(config: TrainConfig) -> dict[str, Any]:
    """What SAELens's three architectures that keep k features share."""
    return {
        "aux_loss_coefficient": config.aux_loss_coefficient,
        "rescale_acts_by_decoder_norm": config.rescale_acts_by_decoder_norm,
    }


_BUILDERS: dict[Architecture, Builder] = {
    "standard": _standard,
    "topk": _topk,
    "batchtopk": _batchtopk,
    "jumprelu": _jumprelu,
    "gated": _gated,
    "matryoshka_batchtopk": _matryoshka,
}
