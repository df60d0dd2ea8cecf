"""Which features are active at one token of a text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tinysae.errors import InputError
from tinysae.features.index.build import check_fit
from tinysae.model.catalogue import same_model

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE


class ActiveFeature(NamedTuple):
    """A feature and its activation at the token."""

    feature: int
    activation: float


def active_features(
    sae: "SAE", model: "LoadedModel", ids: Sequence[int], position: int
) -> list[ActiveFeature]:
    """The features that are active at `ids[position]`, the strongest first.

    `ids` are a text's tokens without BOS, which the model reads before them.

    Raises:
        InputError: the SAE is of another model, or does not fit this one.
    """
    import torch

    from tinysae.model.forward import activations

    check_same_model(sae, model)
    # Nothing after a token changes what the model thinks at it.
    tokens = model.to_input(ids[: position + 1])
    with torch.inference_mode():
        x = activations(model, tokens, sae.hook_name)[0, -1]
        acts = sae.encode(x.float().cpu())
        active = acts.nonzero().flatten()
        order = acts[active].argsort(descending=True, stable=True)
    return [
        ActiveFeature(feature, float(acts[feature]))
        for feature in active[order].tolist()
    ]


def check_same_model(sae: "SAE", model: "LoadedModel") -> None:
    """Refuses an SAE that was trained on another model than `model`.

    Raises:
        InputError: it was; or it says it was not, and its shapes say otherwise.
    """
    if not same_model(sae.model_name, model.source):
        raise InputError(
            "features_other_model", sae=sae.model_name[:200], model=model.source[:200]
        )
    check_fit(sae, model)
