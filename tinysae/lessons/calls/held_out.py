"""What neurons, features and random directions are on held-out stories.

Nothing here depends on what a reader chooses: it is read once a model and SAE.
"""

from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook.words import CONCEPTS
from tinysae.errors import InputError
from tinysae.lessons.calls.model_cache import kept_with_model

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.names.concept_tokens import ConceptTokens, FeaturePairs
    from tinysae.model.hooks import HookPlace
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

CHOOSING_SEED, CHECKING_SEED = 40_020, 40_021
N_TOKENS: Final = 8_192
"""Of held-out stories, for choosing and for checking each."""
CONTEXT: Final = 256
N_PARTS: Final = 1024
"""Random directions: as many as the embedded model has neurons."""
What = Literal["neuron", "random", "feature"]


class Parts(NamedTuple):
    """Held-out stories as tokens, with what fires on them, by part."""

    tokens: "ConceptTokens"
    pairs: "FeaturePairs"

    def masses(self, part: int) -> NDArray[np.float64]:
        """The part's activation on each kind of token, [d_vocab] or shorter."""
        at = slice(self.pairs.first[part], self.pairs.first[part + 1])
        kinds = self.tokens.tokens[self.pairs.token[at]]
        return np.bincount(kinds, weights=self.pairs.value[at]).astype(np.float64)

    def share_on(self, part: int, kinds: set[int]) -> float:
        """The share of the part's activation that is on these kinds of token; 0 for one
        that is never on."""
        mass = self.masses(part)
        on = [mass[kind] for kind in kinds if kind < len(mass)]
        return float(sum(on) / mass.sum()) if len(mass) else 0.0


def parts_of(model: "LoadedModel", sae: "SAE", what: What, seed: int) -> Parts:
    """What fires on the stories of `seed`, for one kind of part."""
    if what == "neuron":
        return neuron_parts(model, seed)
    if what == "feature":
        return feature_parts(model, sae, seed)
    return random_parts(model, sae.hook_name, seed)


def values_of(
    model: "LoadedModel", sae: "SAE", what: What, number: int
) -> "tuple[ConceptTokens, NDArray[np.float32]]":
    """What one part is on the stories for checking, [n_tokens]."""
    if what == "random":
        tokens, x = hooked_values(model, sae.hook_name, CHECKING_SEED)
        return tokens, (centred(x) @ random_directions(x.shape[1])[:, number]).numpy()
    tokens, pairs = parts_of(model, sae, what, CHECKING_SEED)
    at = slice(pairs.first[number], pairs.first[number + 1])
    values = np.zeros(len(tokens.tokens), np.float32)
    values[pairs.token[at]] = pairs.value[at]
    return tokens, values


@kept_with_model(4)
def held_out_tokens(
    model: "LoadedModel", seed: int
) -> "tuple[NDArray[np.int32], ConceptTokens]":
    """Held-out contexts [n, context], and their tokens, BOS left out."""
    from tinysae.config import TextChoice
    from tinysae.data.corpus import token_chunks
    from tinysae.data.texts.storybook import STORYBOOK
    from tinysae.features.names.concept_tokens import concept_tokens

    size = min(CONTEXT, model.n_ctx)
    chunks = token_chunks(model, TextChoice(STORYBOOK), size, seed=seed, held_out=True)
    contexts = np.stack(list(islice(chunks, N_TOKENS // size)))
    token_bytes = model.vocabulary.token_bytes
    return contexts, concept_tokens(contexts, token_bytes, model.bos_id)


@kept_with_model(4)
def hooked_values(
    model: "LoadedModel", hook_name: str, seed: int
) -> "tuple[ConceptTokens, Tensor]":
    """The tokens, and the activations [n_tokens, d_in] at a hook."""
    from tinysae.features.names.concept_tokens import hooked

    contexts, tokens = held_out_tokens(model, seed)
    return tokens, hooked(model, contexts, tokens.rows, hook_name).float()


@kept_with_model(4)
def feature_parts(model: "LoadedModel", sae: "SAE", seed: int) -> Parts:
    """What the SAE's features fire on.

    Raises:
        InputError: from `check_same_model`.
    """
    from tinysae.features.fit import check_same_model
    from tinysae.features.names.concept_tokens import encoded, feature_pairs

    check_same_model(sae, model)
    tokens, x = hooked_values(model, sae.hook_name, seed)
    return Parts(tokens, feature_pairs(encoded(sae, x), sae.d_sae))


@kept_with_model(2)
def random_parts(model: "LoadedModel", hook_name: str, seed: int) -> Parts:
    """What random directions fire on: whatever is above their mean."""
    from tinysae.features.names.concept_tokens import feature_pairs

    tokens, x = hooked_values(model, hook_name, seed)
    values = centred(x) @ random_directions(x.shape[1])
    return Parts(tokens, feature_pairs([values.numpy()], N_PARTS))


def centred(x: "Tensor") -> "Tensor":
    """`x` [n, d] without its mean: a random direction is then on half of the time."""
    return x - x.mean(0)


def random_directions(d_in: int) -> "Tensor":
    """Random directions [d_in, N_PARTS], always the same."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randn(d_in, N_PARTS, generator=generator)


@kept_with_model(2)
def neuron_parts(model: "LoadedModel", seed: int) -> Parts:
    """What the neurons of the last layer's MLP fire on, after its nonlinearity."""
    from tinysae.features.names.concept_tokens import feature_pairs

    contexts, tokens = held_out_tokens(model, seed)
    acts = read_place(model, neuron_place(model), contexts.tolist())
    values = acts.reshape(-1, acts.shape[-1])[tokens.rows]
    return Parts(tokens, feature_pairs([values], values.shape[1]))


def neuron_place(model: "LoadedModel") -> "HookPlace":
    """Where the last layer's MLP is read: after its nonlinearity.

    Raises:
        InputError: this kind of model does not show it under a name we know.
    """
    from tinysae.model.hooks import HookPlace

    hook = f"blocks.{model.n_layers - 1}.hook_mlp_out"
    place = model.hooks.get(hook)
    names = () if place is None else (f"{place.module}.act", f"{place.module}.act_fn")
    modules = dict(model.plain.named_modules())
    for name in names:
        if name in modules:
            return HookPlace(name, is_input=False)
    raise InputError("lesson_no_hook", hook=hook)


def read_place(
    model: "LoadedModel", place: "HookPlace", rows: list[list[int]]
) -> NDArray[np.float32]:
    """What passes `place`, [row, pos, d]."""
    import torch

    from tinysae.model.forward import activations_at

    return activations_at(model, torch.tensor(rows), place).float().cpu().numpy()


def n_neurons(model: "LoadedModel") -> int:
    """How many neurons the last layer's MLP has.

    Raises:
        InputError: the model does not show them.
    """
    return read_place(model, neuron_place(model), [[model.bos_id]]).shape[-1]


def common_concepts(model: "LoadedModel", n: int) -> list[str]:
    """`n` concepts with examples enough in both sets of stories, by chance."""
    from tinysae.features.names.concept_tokens import counted_targets

    texts = [held_out_tokens(model, seed)[1] for seed in (CHOOSING_SEED, CHECKING_SEED)]
    names = tuple(CONCEPTS)
    counted = [target for target in counted_targets(*texts) if target < len(names)]
    chosen = np.random.default_rng(0).permutation(counted)[:n]
    return [names[target] for target in chosen]
