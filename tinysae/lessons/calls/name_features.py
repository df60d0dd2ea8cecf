"""What an SAE's features hold of a name: questions about one story, as `name_calls`."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from tinysae.data.storybook.words import BOY_NAMES, GIRL_NAMES
from tinysae.errors import InputError
from tinysae.lessons.calls.cases import read_name
from tinysae.lessons.calls.held_out import CHECKING_SEED, feature_parts
from tinysae.lessons.calls.probabilities import (
    apart,
    next_probs_moved,
    probability,
    share,
)
from tinysae.lessons.calls.results import (
    Bars,
    Result,
    Stage,
    Strip,
    Table,
    index_of,
    named_bars,
    percents,
    sae_of,
)
from tinysae.model.text.continuing import spelling
from tinysae.render.numbers import percent
from tinysae.render.visible import as_word

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.intervene import AnyChange
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.load import SAE

N_TOP: Final = 8
N_STRONGEST: Final = 3
PROMOTED_SHARE: Final = 0.05
"""Of the vocabulary: what a feature pushes most."""
N_FEATURES_OFF: Final = 10
MAX_MOVED: Final = 60
"""Features that are transplanted at most: `intervene` takes 64 changes."""


def features_at_name(stage: Stage, *, template: str, name: str) -> Result:
    """The features that fire most where the name first stands; the share of their
    activation on held-out stories that is on any name; and the share that this name has
    of it with every name in this place, one after another. Control: the first of these
    of the strongest features at the other tokens of the story."""
    from tinysae.features.index.search import feature_activations

    model, sae, index = stage.model, sae_of(stage), index_of(stage)
    ids, token = read_name(model, template, name)
    acts = feature_activations(sae, model, model.decode(ids)).activations
    at = next(place for place, each in enumerate(ids) if each == token)
    order = np.argsort(-acts[at])[:N_TOP]
    active = [int(f) for f in order if acts[at, f] > 0]
    if not active:
        raise InputError("lesson_nothing_active")
    records = {feature: index.feature(feature) for feature in active}
    names = [spelling(model, f" {each}")[0] for each in (*GIRL_NAMES, *BOY_NAMES)]
    of_names = {*names, token}

    parts = feature_parts(model, sae, CHECKING_SEED)
    strongest = active[:N_STRONGEST]
    on_names = float(np.mean([parts.share_on(f, of_names) for f in strongest]))
    every = sorted(of_names)
    instead = _acts_of(model, sae, ids[:at], every)[:, strongest]
    on_this = float((instead[every.index(token)] / instead.sum(0)).mean())
    elsewhere = [p for p, each in enumerate(ids) if each not in of_names]
    places = random.Random(0).sample(elsewhere, min(N_TOP, len(elsewhere)))
    others = [int(acts[place].argmax()) for place in places]
    control = float(np.mean([parts.share_on(f, of_names) for f in others]))
    rows = [
        [
            str(feature),
            f"{acts[at, feature]:.2f}",
            " ".join(as_word(t.text) for t in records[feature].tokens[:3]),
        ]
        for feature in active
    ]
    return Result(
        {"names": on_names, "this": on_this, "elsewhere": control},
        {
            "name": name,
            "feature": str(active[0]),
            "n_names": str(len(of_names)),
            **percents(names=on_names, this=on_this, even=1 / len(of_names)),
            "control": percent(control),
            "n": str(int((acts[at] > 0).sum())),
        },
        [
            Table("features_at", ["feature", "activation", "fires"], rows),
            _acts_strip(model, ids, acts[:, active[0]], "fires"),
        ],
    )


def _acts_of(
    model: "LoadedModel", sae: "SAE", ids: Sequence[int], tokens: Sequence[int]
) -> "Tensor":
    """The features' activations [n_tokens, d_sae] at each token after `ids`."""
    import torch

    from tinysae.model.forward import activations

    rows = torch.tensor([[model.bos_id, *ids, each] for each in tokens])
    with torch.inference_mode():
        x = activations(model, rows, sae.hook_name)[:, -1]
        return sae.encode(x.float().cpu())


def promoted(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """What the features promote that are there for this name and not for another.

    The three whose activation at the last token is most above that in the same story
    about `other`; `named`: the name is among the twentieth of the vocabulary that one
    of them promotes most. Control: as many of the features that are the same in both
    stories.
    """
    model, sae, index = stage.model, sae_of(stage), index_of(stage)
    ids, token = read_name(model, template, name)
    others, _ = read_name(model, template, other)
    a, b = _hook_acts(model, sae, ids)[-1], _hook_acts(model, sae, others)[-1]
    carriers = (a - b).topk(N_STRONGEST).indices.tolist()
    gone = (a - b).abs().masked_fill(a <= 0, float("inf"))
    same = gone.topk(N_STRONGEST, largest=False).indices.tolist()
    texts = index.promoted(carriers)
    n_here, n_same = (_n_promoting(model, sae, fs, token) for fs in (carriers, same))
    rows = [
        [
            str(feature),
            f"{float(a[feature]):.2f}",
            f"{float(b[feature]):.2f}",
            " ".join(as_word(t.text) for t in texts[feature][:4]),
        ]
        for feature in carriers
    ]
    return Result(
        {"named": float(n_here > 0), "named_control": float(n_same > 0)},
        {
            "name": name,
            "other": other,
            "features": ", ".join(map(str, carriers)),
            "n": str(n_here),
            "control": str(n_same),
        },
        [Table("carriers", ["feature", "here", "there", "promotes"], rows)],
    )


def _n_promoting(
    model: "LoadedModel", sae: "SAE", features: Sequence[int], token: int
) -> int:
    """How many of the features have the token among the words they promote most."""
    logits = sae.W_dec[list(features)].float().cpu() @ model.W_U.float().cpu()
    above = (logits > logits[:, token, None]).float().mean(-1)
    return int((above < PROMOTED_SHARE).sum())


def forget_there(stage: Stage, *, template: str, name: str) -> Result:
    """Features off wherever the name stands; control: off at the last token.

    With one layer what features hold at a token never reaches later ones.
    """
    from tinysae.features.why.intervene import FeatureChange

    model, sae = stage.model, sae_of(stage)
    ids, token = read_name(model, template, name)
    acts = _hook_acts(model, sae, ids)
    at = [1 + place for place, each in enumerate(ids) if each == token]
    last = len(ids)

    def off(places: Sequence[int]) -> "list[AnyChange]":
        strength = acts[list(places)].amax(0)
        features = strength.topk(MAX_MOVED).indices.tolist()
        return [
            FeatureChange(f, 0.0, tuple(places)) for f in features if strength[f] > 0
        ]

    before, there = probability(model, ids, token, off(at), sae)
    _, here = probability(model, ids, token, off([last]), sae)
    return Result(
        {"kept": share(there, before), "kept_control": share(here, before)},
        {"name": name, **percents(before=before, there=there, here=here)},
        [named_bars("forget", before=before, there=there, here=here)],
    )


def features_off(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """The features that attribution names for the name, off at the last token; control:
    as many random ones of those that are active there."""
    from tinysae.features.why.attribution import attribute
    from tinysae.features.why.intervene import FeatureChange

    model, sae = stage.model, sae_of(stage)
    ids, token = read_name(model, template, name)
    _, stranger = read_name(model, template, other)
    last = len(ids)
    attribution = attribute(model, ids, token, stranger, sae=sae)
    here = [
        p for p in attribution.features if p.kind == "feature" and p.position == last
    ]
    here.sort(key=lambda part: -part.effect)
    chosen = here[: min(N_FEATURES_OFF, max(1, len(here) // 2))]
    rest = here[len(chosen) :]
    rest = random.Random(0).sample(rest, min(len(chosen), len(rest)))

    def off(parts: Sequence[object]) -> "list[AnyChange]":
        return [FeatureChange(p.number or 0, 0.0, (last,)) for p in parts]  # type: ignore[attr-defined]

    before, after = probability(model, ids, token, off(chosen), sae)
    _, control = probability(model, ids, token, off(rest), sae)
    return Result(
        {"kept": share(after, before), "kept_control": share(control, before)},
        {
            "name": name,
            "n": str(len(chosen)),
            **percents(before=before, after=after, control=control),
        },
        [Bars("effects", [str(p.number) for p in chosen], [p.effect for p in chosen])],
    )


def transplant(
    stage: Stage, *, template: str, name: str, other: str, strength: float = 1.0
) -> Result:
    """The last token's features as they would be in the same story about `other`.

    strength: 1 goes all the way from this story's values to the other's; 0 nowhere.

    Beside it what the SAE misses: the error alone moved as far, and all of it. Control:
    as many random features, set as strongly.
    """
    from tinysae.features.why.intervene import FeatureChange

    model, sae = stage.model, sae_of(stage)
    ids, _ = read_name(model, template, name)
    others, target = read_name(model, template, other)
    x, y = _hook(model, sae, ids)[-1], _hook(model, sae, others)[-1]
    a, b = sae.encode(x), sae.encode(y)
    moved = [f for f in (b - a).abs().topk(MAX_MOVED).indices.tolist() if a[f] != b[f]]
    last = len(ids)
    to = a + strength * (b - a)
    changes = [FeatureChange(f, float(to[f]), (last,)) for f in moved]
    before, after = probability(model, ids, target, changes, sae)
    rng = random.Random(0)
    strangers = [f for f in range(sae.d_sae) if not (a[f] > 0 or b[f] > 0)]
    strangers = rng.sample(strangers, min(len(moved), len(strangers)))
    wrong = [
        FeatureChange(f, strength * float(max(a[own], b[own])), (last,))
        for f, own in zip(strangers, moved, strict=False)
    ]
    _, control = probability(model, ids, target, wrong, sae)
    error = (y - sae.decode(b)) - (x - sae.decode(a))
    by_error = float(next_probs_moved(model, sae, ids, strength * error)[target])
    whole = float(next_probs_moved(model, sae, ids, strength * (y - x))[target])
    return Result(
        {
            "moved": after,
            "control": control,
            "whole": whole,
            "error": by_error,
            "missing": whole - after,
        },
        {
            "name": name,
            "other": other,
            "n": str(len(moved)),
            **percents(before=before, after=after, control=control),
            **percents(error=by_error, whole=whole),
            "missing": apart(whole, after),
        },
        [
            named_bars(
                "transplant",
                before=before,
                random=control,
                error=by_error,
                features=after,
                whole=whole,
            )
        ],
    )


def _hook(model: "LoadedModel", sae: "SAE", ids: Sequence[int]) -> "Tensor":
    """As `read_at_hook`, of an SAE that is the model's."""
    from tinysae.features.fit import check_same_model, read_at_hook

    check_same_model(sae, model)
    return read_at_hook(sae, model, ids)


def _hook_acts(model: "LoadedModel", sae: "SAE", ids: Sequence[int]) -> "Tensor":
    return sae.encode(_hook(model, sae, ids))


def _acts_strip(
    model: "LoadedModel", ids: Sequence[int], acts: np.ndarray, title: str
) -> Strip:
    values = [value if value > 0 else None for value in acts.tolist()]
    return Strip(title, model.token_texts(ids), values, max(float(acts.max()), 1e-6))
