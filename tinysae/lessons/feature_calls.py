"""What a feature is: neurons and features held against each other on the same text."""

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook import CONCEPTS
from tinysae.errors import InputError
from tinysae.lessons.probs import next_probs_moved
from tinysae.lessons.results import Bars, Result, Stage, Table, sae_of
from tinysae.numbers import percent
from tinysae.texts import visible

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.concepts import ConceptTokens, FeaturePairs
    from tinysae.model.hooks import HookPlace
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.files import SAE

CHOOSING_SEED, CHECKING_SEED = 40_020, 40_021
N_TOKENS: Final = 8_192
"""Of held-out stories, for choosing and for checking each."""
CONTEXT: Final = 256
N_SHOWN: Final = 8
N_LIVELY: Final = 10
"""Times that a part is on before its kinds of token are counted."""
N_TYPICAL: Final = 200
"""Parts whose median is called typical."""
N_PARTS: Final = 1024
"""Random directions: as many as the embedded model has neurons."""


class _Text(NamedTuple):
    """Held-out stories as tokens, with what fires on them, by part."""

    tokens: "ConceptTokens"
    pairs: "FeaturePairs"


def kinds(pairs: "FeaturePairs", tokens: NDArray[np.int32], part: int) -> float:
    """How many kinds of token the part's activation is spread over: e to the entropy of
    the shares."""
    share = masses(pairs, tokens, part)
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def masses(
    pairs: "FeaturePairs", tokens: NDArray[np.int32], part: int
) -> NDArray[np.float64]:
    """The part's activation on each kind of token, [d_vocab]."""
    at = slice(pairs.first[part], pairs.first[part + 1])
    mass = np.bincount(tokens[pairs.token[at]], weights=pairs.value[at])
    return mass.astype(np.float64)


def one_token(stage: Stage, *, text: str) -> Result:
    """How much is on at a text's last token: neurons, features; control: as many random
    directions as there are features, of which half are on."""
    import torch

    from tinysae.features.search import feature_activations
    from tinysae.model.forward import activations

    model, sae = stage.model, sae_of(stage)
    acts = feature_activations(sae, model, text)
    place = _neuron_place(model)
    ids = model.encode(text)
    neurons = _read(model, place, [[model.bos_id, *ids]])[0, -1]
    x = activations(model, model.to_input(ids), sae.hook_name)[0, -1].float().cpu()
    generator = torch.Generator().manual_seed(0)
    random = x @ torch.randn(sae.d_in, N_PARTS, generator=generator)
    on_neurons = float((neurons > 0).mean())
    on_features = float((acts.activations[-1] > 0).mean())
    on_random = float((random > 0).float().mean())
    n_features = int((acts.activations[-1] > 0).sum())
    return Result(
        {
            "features_on": on_features,
            "neurons_on": on_neurons,
            "random_on": on_random,
        },
        {
            "token": visible(acts.tokens[-1]),
            "n_features": f"{n_features:,}",
            "d_sae": f"{sae.d_sae:,}",
            "n_neurons": f"{int((neurons > 0).sum()):,}",
            "d_mlp": f"{len(neurons):,}",
            "features": percent(on_features),
            "neurons": percent(on_neurons),
            "control": percent(on_random),
        },
        [
            Bars(
                "on",
                ["random", "neurons", "features"],
                [on_random, on_neurons, on_features],
                named=True,
            )
        ],
    )


def neuron(stage: Stage, *, number: int) -> Result:
    """The kinds of token a neuron is on for; control: of the typical feature."""
    found = _neurons(stage.model, CHECKING_SEED)
    typical = _typical_kinds(stage.model, sae_of(stage), CHECKING_SEED)[1]
    return _spread(stage, found, number, typical)


def feature(stage: Stage, *, number: int) -> Result:
    """The kinds of token a feature is on for; control: of the typical neuron."""
    found = _features(stage.model, sae_of(stage), CHECKING_SEED)
    typical = _typical_kinds(stage.model, sae_of(stage), CHECKING_SEED)[0]
    return _spread(stage, found, number, typical)


def lively(stage: Stage, n: int) -> list[int]:
    """`n` features that fire `N_LIVELY` times or more on the stories, by chance."""
    found = _features(stage.model, sae_of(stage), CHECKING_SEED)
    live = np.flatnonzero(np.diff(found.pairs.first) >= N_LIVELY)
    rng = np.random.default_rng(0)
    return rng.permutation(live)[:n].tolist()


@lru_cache(maxsize=4)
def _typical_kinds(model: "LoadedModel", sae: "SAE", seed: int) -> tuple[float, float]:
    """The median of `kinds` over neurons and over features that are on often."""
    medians = []
    for found in (_neurons(model, seed), _features(model, sae, seed)):
        live = np.flatnonzero(np.diff(found.pairs.first) >= N_LIVELY)
        chosen = np.random.default_rng(0).permutation(live)[:N_TYPICAL]
        if not len(chosen):
            raise InputError("lesson_nothing_active")
        spread = [kinds(found.pairs, found.tokens.tokens, part) for part in chosen]
        medians.append(float(np.median(spread)))
    return medians[0], medians[1]


def _spread(stage: Stage, found: _Text, number: int, typical: float) -> Result:
    n_parts = len(found.pairs.first) - 1
    if not 0 <= number < n_parts:
        raise InputError("features_unknown", feature=number, last=n_parts - 1)
    own = masses(found.pairs, found.tokens.tokens, number)
    n_fired = int(found.pairs.first[number + 1] - found.pairs.first[number])
    if not own.any():
        raise InputError("lesson_silent", number=number)
    spread = kinds(found.pairs, found.tokens.tokens, number)
    top = np.argsort(-own)[:N_SHOWN]
    texts = [visible(stage.model.token_text(int(token))) for token in top]
    return Result(
        {"kinds": spread, "kinds_typical": typical},
        {
            "number": str(number),
            "kinds": f"{spread:.0f}",
            "control": f"{typical:.0f}",
            "chance": f"{_random_kinds(stage, n_fired, number):.0f}",
            "density": percent(n_fired / len(found.tokens.tokens)),
            "tokens": ", ".join(f"“{text}”" for text in texts[:4]),
        },
        [Bars("mass", texts, (own / own.sum())[top].tolist())],
    )


def concept(stage: Stage, *, concept: str) -> Result:
    """How well the best neuron and the best feature tell a concept's tokens apart, each
    chosen on one set of stories and scored on another (F1); control: the best of as
    many random directions as there are neurons."""
    if concept not in CONCEPTS:
        raise InputError("lesson_choice", value=concept[:40])
    scores = {
        name: _best(stage.model, sae_of(stage), name, concept)
        for name in ("neuron", "random", "feature")
    }
    (_, neuron), (_, random), (number, feature) = scores.values()
    return Result(
        {"neuron": neuron, "feature": feature, "random": random},
        {
            "feature_number": str(number),
            "neuron_number": str(scores["neuron"][0]),
            "neuron": f"{neuron:.2f}",
            "feature": f"{feature:.2f}",
            "control": f"{random:.2f}",
        },
        [
            Bars(
                "f1",
                ["random", "neuron", "feature"],
                [random, neuron, feature],
                named=True,
            )
        ],
    )


def feature_off(stage: Stage, *, text: str) -> Result:
    """The strongest feature at a text's last token, off; control: a random direction of
    the same length is added instead.

    The figures say by how much next-token probabilities move (half the sum of their
    absolute changes).
    """
    import torch

    from tinysae.features.at_token import active_features
    from tinysae.features.intervene import FeatureChange, direction, intervene

    model, sae = stage.model, sae_of(stage)
    ids = model.encode(text)
    active = active_features(sae, model, ids, len(ids) - 1) if ids else []
    if not active:
        raise InputError("lesson_nothing_active")
    best = active[0]
    change = FeatureChange(best.feature, 0.0, (len(ids),))
    found = intervene(model, ids, [change], sae=sae)
    before, after = found.before[-1].exp(), found.after[-1].exp()
    length = best.activation * float(direction(sae, best.feature).norm())
    generator = torch.Generator().manual_seed(best.feature)
    step = torch.randn(sae.d_in, generator=generator)
    other = next_probs_moved(model, sae, ids, step / step.norm() * length)
    moved = float((after - before).abs().sum() / 2)
    control = float((other - before).abs().sum() / 2)
    order = (after - before).abs().topk(N_SHOWN).indices.tolist()
    rows = [
        [
            visible(model.token_text(token)),
            percent(float(before[token])),
            percent(float(after[token])),
        ]
        for token in order
    ]
    return Result(
        {"moved": moved, "moved_random": control},
        {
            "feature": str(best.feature),
            "moved": percent(moved),
            "control": percent(control),
        },
        [Table("off", ["token", "with", "without"], rows)],
    )


@lru_cache(maxsize=256)
def _best(
    model: "LoadedModel", sae: "SAE", what: str, concept: str
) -> tuple[int, float]:
    """The part that reads a concept best on some stories, and its F1 on others."""
    from tinysae.features.concepts import score

    choosing, checking = (
        _of(model, sae, what, seed) for seed in (CHOOSING_SEED, CHECKING_SEED)
    )
    target = tuple(CONCEPTS).index(concept)
    wanted = choosing.tokens.labels[:, target]
    if wanted.sum() < 10:
        raise InputError("lesson_rare", concept=concept)
    best, number, threshold = 0.0, 0, np.inf
    pairs = choosing.pairs
    hits = np.cumsum(wanted[pairs.token])
    before = np.concatenate([[0], hits])[pairs.first]
    for part in range(len(pairs.first) - 1):
        at = slice(pairs.first[part], pairs.first[part + 1])
        n = at.stop - at.start
        if not n:
            continue
        found = hits[at] - before[part]
        f1 = 2 * found / (np.arange(1, n + 1) + wanted.sum())
        place = int(f1.argmax())
        if f1[place] > best:
            best, number = float(f1[place]), part
            threshold = float(pairs.value[at][place])
    pairs = checking.pairs
    at = slice(pairs.first[number], pairs.first[number + 1])
    fires = np.zeros(len(checking.tokens.tokens), np.bool_)
    fires[pairs.token[at][pairs.value[at] >= threshold]] = True
    return number, score(fires, checking.tokens.labels[:, target]).f1


def _of(model: "LoadedModel", sae: "SAE", what: str, seed: int) -> _Text:
    if what == "neuron":
        return _neurons(model, seed)
    if what == "feature":
        return _features(model, sae, seed)
    return _randoms(model, sae.hook_name, seed)


def _random_kinds(stage: Stage, n_fired: int, seed: int) -> float:
    """`kinds` of a random direction, on where it is among its `n_fired` largest."""
    import torch

    tokens, x = _hooked(stage.model, sae_of(stage).hook_name, CHECKING_SEED)
    generator = torch.Generator().manual_seed(seed)
    value = (x - x.mean(0)) @ torch.randn(x.shape[1], generator=generator)
    top = value.topk(min(n_fired, len(value)))
    mass = np.bincount(
        tokens.tokens[top.indices.numpy()], weights=top.values.clamp(min=0).numpy()
    )
    share = mass[mass > 0] / mass.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


@lru_cache(maxsize=4)
def _text(model: "LoadedModel", seed: int) -> "tuple[NDArray[np.int32], ConceptTokens]":
    """Held-out contexts [n, context], and their tokens, BOS left out."""
    from tinysae.config import TextChoice
    from tinysae.data.corpus import token_chunks
    from tinysae.data.texts.storybook import STORYBOOK
    from tinysae.features.concepts import concept_tokens
    from tinysae.features.vocabulary import vocabulary_of

    size = min(CONTEXT, model.n_ctx)
    chunks = token_chunks(model, TextChoice(STORYBOOK), size, seed=seed, held_out=True)
    contexts = np.stack(list(islice(chunks, N_TOKENS // size)))
    token_bytes = vocabulary_of(model).token_bytes
    return contexts, concept_tokens(contexts, token_bytes, model.bos_id)


@lru_cache(maxsize=4)
def _hooked(
    model: "LoadedModel", hook_name: str, seed: int
) -> "tuple[ConceptTokens, Tensor]":
    from tinysae.features.concepts import hooked

    contexts, tokens = _text(model, seed)
    return tokens, hooked(model, contexts, tokens.rows, hook_name).float()


@lru_cache(maxsize=4)
def _features(model: "LoadedModel", sae: "SAE", seed: int) -> _Text:
    from tinysae.features.at_token import check_same_model
    from tinysae.features.concepts import encoded, feature_pairs

    check_same_model(sae, model)
    tokens, x = _hooked(model, sae.hook_name, seed)
    return _Text(tokens, feature_pairs(encoded(sae, x), sae.d_sae))


@lru_cache(maxsize=2)
def _randoms(model: "LoadedModel", hook_name: str, seed: int) -> _Text:
    """Random directions, the same for either seed, on above their mean."""
    import torch

    from tinysae.features.concepts import feature_pairs

    tokens, x = _hooked(model, hook_name, seed)
    generator = torch.Generator().manual_seed(0)
    values = (x - x.mean(0)) @ torch.randn(x.shape[1], N_PARTS, generator=generator)
    return _Text(tokens, feature_pairs([values.numpy()], N_PARTS))


def _neuron_values(model: "LoadedModel", seed: int) -> NDArray[np.float32]:
    contexts, tokens = _text(model, seed)
    acts = _read(model, _neuron_place(model), contexts.tolist())
    return acts.reshape(-1, acts.shape[-1])[tokens.rows]


@lru_cache(maxsize=2)
def _neurons(model: "LoadedModel", seed: int) -> _Text:
    from tinysae.features.concepts import feature_pairs

    values = _neuron_values(model, seed)
    return _Text(_text(model, seed)[1], feature_pairs([values], values.shape[1]))


def _neuron_place(model: "LoadedModel") -> "HookPlace":
    """What the last layer's MLP has after its nonlinearity.

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


def _read(
    model: "LoadedModel", place: "HookPlace", rows: list[list[int]]
) -> NDArray[np.float32]:
    """What passes `place`, [row, pos, d]."""
    import torch

    from tinysae.model.forward import running
    from tinysae.model.hooks import Reached, reading

    tokens = torch.tensor(rows, device=model.plain.device)
    with running(model, tokens.numel()), reading(model.plain, place, stop=True) as seen:
        try:
            model.plain(tokens, use_cache=False)
        except Reached:
            return seen[0].float().cpu().numpy()
    raise RuntimeError(f"the forward never came to {place.module}")


def n_neurons(model: "LoadedModel") -> int:
    """Neurons of the last layer's MLP.

    Raises:
        InputError: the model does not show them.
    """
    return _read(model, _neuron_place(model), [[model.bos_id]]).shape[-1]


def common_concepts(model: "LoadedModel", n: int) -> list[str]:
    """`n` concepts with examples enough in both sets of stories, by chance."""
    from tinysae.features.concepts import counted_targets

    texts = [_text(model, seed)[1] for seed in (CHOOSING_SEED, CHECKING_SEED)]
    names = tuple(CONCEPTS)
    counted = [target for target in counted_targets(*texts) if target < len(names)]
    chosen = np.random.default_rng(0).permutation(counted)[:n]
    return [names[target] for target in chosen]
