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
        "device": device,
        "normalize_activations": config.normalize_activations,
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
        "decoder_init_norm": config.decoder_init_norm,
    }
    return _BUILDERS[config.architecture](config, shared)


def fold_activation_norm(sae: Any, scaling_factor: float) -> None:
    """Folds the activations' scale into the weights, so that they read raw ones.

    SAELens 6.54 leaves `topk_threshold` in the units of training. But its activations
    are pre-activations times the decoder's norms, which the fold divides by the
    factor: unless the threshold is divided too, the saved JumpReLU is too sparse (or
    too dense) by it.
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


def _batchtopk(config: TrainConfig, shared: dict[str, Any]) -> "TrainingSAE[Any]":
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

    return BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(
            **shared, k=config.k, aux_loss_coefficient=config.aux_loss_coefficient
        )
    )


_BUILDERS: dict[Architecture, Builder] = {
    "standard": _standard,
    "batchtopk": _batchtopk,
}
