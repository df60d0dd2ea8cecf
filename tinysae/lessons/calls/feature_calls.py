"""What a feature is: neurons and features held against each other on the same text."""

from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray

from tinysae.data.storybook.words import CONCEPTS
from tinysae.errors import InputError, MissingError
from tinysae.lessons.calls.held_out import (
    CHECKING_SEED,
    CHOOSING_SEED,
    Parts,
    What,
    centred,
    feature_parts,
    held_out_tokens,
    hooked_values,
    neuron_parts,
    neuron_place,
    parts_of,
    random_directions,
    read_place,
    values_of,
)
from tinysae.lessons.calls.model_cache import kept_with_model
from tinysae.lessons.calls.probabilities import next_probs_moved
from tinysae.lessons.calls.results import (
    Bars,
    Result,
    Stage,
    Table,
    named_bars,
    percents,
    sae_of,
)
from tinysae.render.numbers import percent
from tinysae.render.visible import as_word, as_words

if TYPE_CHECKING:
    from tinysae.features.names.concept_tokens import FeaturePairs
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_SHOWN: Final = 8
N_LIVELY: Final = 10
"""Times that a part is on before its kinds of token are counted."""
N_TYPICAL: Final = 200
"""Parts whose median is called typical."""
N_PUSHES: Final = 8
"""One random direction may by chance be one that the model listens to."""
MIN_EXAMPLES: Final = 10
"""Of a concept, where its readers are chosen."""


def kinds(parts: Parts, part: int) -> float:
    """How many kinds of token the part's activation is spread over: e to the entropy of
    the shares."""
    share = parts.masses(part)
    share = share[share > 0] / share.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def one_token(stage: Stage, *, text: str) -> Result:
    """How much is on at a text's last token: neurons, features; control: random
    directions, of which half are on."""
    from tinysae.features.fit import read_at_hook
    from tinysae.features.index.search import feature_activations

    model, sae = stage.model, sae_of(stage)
    acts = feature_activations(sae, model, text)
    place = neuron_place(model)
    ids = model.encode(text)
    neurons = read_place(model, place, [[model.bos_id, *ids]])[0, -1]
    random = read_at_hook(sae, model, ids)[-1] @ random_directions(sae.d_in)
    on_neurons = float((neurons > 0).mean())
    on_features = float((acts.activations[-1] > 0).mean())
    on_random = float((random > 0).float().mean())
    n_features = int((acts.activations[-1] > 0).sum())
    return Result(
        {"features_on": on_features, "neurons_on": on_neurons, "random_on": on_random},
        {
            "token": as_word(acts.tokens[-1]),
            "n_features": f"{n_features:,}",
            "d_sae": f"{sae.d_sae:,}",
            "n_neurons": f"{int((neurons > 0).sum()):,}",
            "d_mlp": f"{len(neurons):,}",
            **percents(features=on_features, neurons=on_neurons, control=on_random),
        },
        [named_bars("on", random=on_random, neurons=on_neurons, features=on_features)],
    )


def neuron(stage: Stage, *, number: int) -> Result:
    """The kinds of token a neuron is on for; control: of the typical feature."""
    parts = neuron_parts(stage.model, CHECKING_SEED)
    typical = _typical_kinds(stage.model, sae_of(stage), CHECKING_SEED)[1]
    return _spread(stage, parts, number, typical)


def feature(stage: Stage, *, number: int) -> Result:
    """The kinds of token a feature is on for; control: of the typical neuron."""
    parts = feature_parts(stage.model, sae_of(stage), CHECKING_SEED)
    typical = _typical_kinds(stage.model, sae_of(stage), CHECKING_SEED)[0]
    return _spread(stage, parts, number, typical)


def lively(stage: Stage, n: int) -> list[int]:
    """`n` features that fire `N_LIVELY` times or more on the stories, by chance."""
    parts = feature_parts(stage.model, sae_of(stage), CHECKING_SEED)
    live = np.flatnonzero(np.diff(parts.pairs.first) >= N_LIVELY)
    rng = np.random.default_rng(0)
    return rng.permutation(live)[:n].tolist()


@kept_with_model(4)
def _typical_kinds(model: "LoadedModel", sae: "SAE", seed: int) -> tuple[float, float]:
    """The median of `kinds` over neurons and over features that are on often."""
    medians = []
    for parts in (neuron_parts(model, seed), feature_parts(model, sae, seed)):
        live = np.flatnonzero(np.diff(parts.pairs.first) >= N_LIVELY)
        chosen = np.random.default_rng(0).permutation(live)[:N_TYPICAL]
        if not len(chosen):
            raise InputError("lesson_nothing_active")
        spread = [kinds(parts, part) for part in chosen]
        medians.append(float(np.median(spread)))
    return medians[0], medians[1]


def _spread(stage: Stage, parts: Parts, number: int, typical: float) -> Result:
    n_parts = len(parts.pairs.first) - 1
    if not 0 <= number < n_parts:
        raise InputError("features_unknown", feature=number, last=n_parts - 1)
    own = parts.masses(number)
    n_fired = int(parts.pairs.first[number + 1] - parts.pairs.first[number])
    if not own.any():
        raise MissingError("lesson_silent", number=number)
    spread = kinds(parts, number)
    top = np.argsort(-own)[:N_SHOWN]
    # A part that is seldom on has fewer.
    top = top[own[top] > 0]
    texts = as_words([stage.model.token_text(int(token)) for token in top])
    return Result(
        {"kinds": spread, "kinds_typical": typical},
        {
            "number": str(number),
            "kinds": f"{spread:.0f}",
            "control": f"{typical:.0f}",
            "chance": f"{_random_kinds(stage, n_fired, number):.0f}",
            "density": percent(n_fired / len(parts.tokens.tokens)),
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
        for name in get_args(What)
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
        [named_bars("f1", random=random, neuron=neuron, feature=feature)],
    )


def feature_off(stage: Stage, *, text: str) -> Result:
    """The strongest feature at a text's last token, off; control: the mean of
    `N_PUSHES` random directions of the same length, each added instead.

    The figures say by how much next-token probabilities move (half the sum of their
    absolute changes).
    """
    import torch

    from tinysae.features.index.search import active_features
    from tinysae.features.why.intervene import FeatureChange, direction, intervene

    model, sae = stage.model, sae_of(stage)
    ids = model.encode(text)
    active = active_features(sae, model, ids, len(ids) - 1) if ids else []
    if not active:
        raise InputError("lesson_nothing_active")
    best = active[0]
    change = FeatureChange(best.feature, 0.0, (len(ids),))
    effect = intervene(model, ids, [change], sae=sae)
    before, after = effect.before[-1].exp(), effect.after[-1].exp()
    length = best.activation * float(direction(sae, best.feature).norm())
    generator = torch.Generator().manual_seed(best.feature)
    pushes = torch.randn(N_PUSHES, sae.d_in, generator=generator)
    pushes *= length / pushes.norm(dim=-1, keepdim=True)
    others = [next_probs_moved(model, sae, ids, push) for push in pushes]
    moved = float((after - before).abs().sum() / 2)
    control = float(np.mean([(each - before).abs().sum() / 2 for each in others]))
    order = (after - before).abs().topk(N_SHOWN).indices.tolist()
    rows = [
        [
            as_word(model.token_text(token)),
            percent(float(before[token])),
            percent(float(after[token])),
        ]
        for token in order
    ]
    return Result(
        {"moved": moved, "moved_random": control},
        {"feature": str(best.feature), **percents(moved=moved, control=control)},
        [Table("off", ["token", "with", "without"], rows)],
    )


def _best(
    model: "LoadedModel", sae: "SAE", what: What, concept: str
) -> tuple[int, float]:
    """The part that reads a concept best on some stories, and its F1 on others."""
    from tinysae.features.names.concepts import score

    target = tuple(CONCEPTS).index(concept)
    wanted = held_out_tokens(model, CHOOSING_SEED)[1].labels[:, target]
    if wanted.sum() < MIN_EXAMPLES:
        raise InputError("lesson_rare", concept=concept)
    choosing = parts_of(model, sae, what, CHOOSING_SEED)
    number, threshold = _best_reader(choosing.pairs, wanted)
    tokens, values = values_of(model, sae, what, number)
    return number, score(values >= threshold, tokens.labels[:, target]).f1


def _best_reader(pairs: "FeaturePairs", wanted: NDArray[np.bool_]) -> tuple[int, float]:
    """The part with the best F1 for the tokens `wanted` [n_tokens], and the activation
    from which it counts as on; infinity where none is on for any of them.

    As the threshold falls, F1 rises only at a token that is wanted: only those are
    looked at (as in `features.names.f1_kernels`, which needs numba, but not loops).
    """
    at = np.flatnonzero(wanted[pairs.token])
    if not len(at):
        return 0, np.inf
    part = np.searchsorted(pairs.first, at, side="right") - 1
    hits = np.arange(1, len(at) + 1) - np.searchsorted(at, pairs.first[part])
    fired = at - pairs.first[part] + 1
    best = int((2 * hits / (fired + wanted.sum())).argmax())
    return int(part[best]), float(pairs.value[at[best]])


def _random_kinds(stage: Stage, n_fired: int, seed: int) -> float:
    """`kinds` of a random direction, on where it is among its `n_fired` largest."""
    import torch

    tokens, x = hooked_values(stage.model, sae_of(stage).hook_name, CHECKING_SEED)
    generator = torch.Generator().manual_seed(seed)
    value = centred(x) @ torch.randn(x.shape[1], generator=generator)
    top = value.topk(min(n_fired, len(value)))
    mass = np.bincount(
        tokens.tokens[top.indices.numpy()], weights=top.values.clamp(min=0).numpy()
    )
    share = mass[mass > 0] / mass.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
