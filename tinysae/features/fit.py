"""Whether an SAE and a model belong together, and what the one reads of the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinysae.errors import InputError
from tinysae.model.catalogue import same_model

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE


def check_fit(sae: "SAE", model: "LoadedModel") -> None:
    """Refuses an SAE whose hook `model` does not have, or has at another width.

    Raises:
        InputError: naming the hook.
    """
    width = model.hook_widths.get(sae.hook_name)
    if width is None:
        raise InputError("features_no_hook", hook=sae.hook_name[:200])
    # Decoder directions are unembedded, so they must live where the logits are read.
    if not sae.d_in == width == model.d_model:
        raise InputError(
            "features_width", d_in=sae.d_in, width=width, hook=sae.hook_name[:200]
        )


def check_same_model(sae: "SAE", model: "LoadedModel") -> None:
    """Refuses an SAE that was trained on another model than `model`.

    Raises:
        InputError: it names another model, or its shapes are not this one's.
    """
    if not same_model(sae.model_name, model.source):
        raise InputError(
            "features_other_model", sae=sae.model_name[:200], model=model.source[:200]
        )
    check_fit(sae, model)


def read_at_hook(sae: "SAE", model: "LoadedModel", ids: Sequence[int]) -> "Tensor":
    """What `sae` reads of a text: activations [1 + n_tokens, d_in] at its hook, BOS
    first, float32 and on the CPU.

    Raises:
        InputError: the text is beyond the model's context.
    """
    from tinysae.model.forward import activations

    return activations(model, model.to_input(ids), sae.hook_name)[0].float().cpu()
