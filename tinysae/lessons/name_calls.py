"""How a model remembers a name: questions about one story, put to the model.

Each takes a story in which `{name}` stands for the name and that ends where the name
comes next, and asks how likely the model finds it there.
"""

import random
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from tinysae.data.storybook import BOY_NAMES, GIRL_NAMES
from tinysae.errors import InputError
from tinysae.lessons.cases import CHOOSING_SEED, NAME, filled, name_cases
from tinysae.lessons.results import Bars, Result, Stage, Strip, Table
from tinysae.numbers import percent
from tinysae.texts import visible

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.intervene import AnyChange
    from tinysae.features.reader import FeatureIndex
    from tinysae.model.sources import LoadedModel
    from tinysae.sae.files import SAE

N_TOP: Final = 8
N_CHOOSING: Final = 6
"""Stories on which a model's name heads are chosen."""
N_HEADS_OFF: Final = 3
N_STRONGEST: Final = 3
N_FEATURES_OFF: Final = 10
MAX_MOVED: Final = 60
"""Features that are transplanted at most: `intervene` takes 64 changes."""


def read_name(model: "LoadedModel", template: str, name: str) -> tuple[list[int], int]:
    """The story's token ids, and the first token of the name after it.

    Raises:
        InputError: the story has no place for a name, or there is no name.
    """
    if NAME not in template:
        raise InputError("lesson_no_name", mark=NAME)
    token = model.encode(f" {name.strip()}")
    if not name.strip() or not token:
        raise InputError("lesson_no_name", mark=NAME)
    return model.encode(filled(template, name.strip()).rstrip(" ")), token[0]


def name_rank(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """Whether the name is the likeliest next token; control: a name not mentioned."""
    from tinysae.model.logprobs import next_log_probs

    model = stage.model
    ids, token = read_name(model, template, name)
    _, stranger = read_name(model, template, other)
    log_probs = next_log_probs(model, ids).cpu()
    probs = log_probs.exp()
    top = log_probs.topk(N_TOP).indices.tolist()
    rank = int((probs > probs[token]).sum())
    return Result(
        {
            "first": float(rank == 0),
            "prob": float(probs[token]),
            "stranger": float(probs[stranger]),
        },
        {
            "name": name,
            "other": other,
            "rank": f"{rank:,}",
            "prob": percent(float(probs[token])),
            "stranger": percent(float(probs[stranger])),
        },
        [
            Strip("story", model.token_texts(ids), [None] * len(ids), 0.0),
            _next(model, top, [float(probs[t]) for t in top]),
        ],
    )


def name_swap(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """The same story about somebody else: the answer goes with it."""
    from tinysae.model.logprobs import next_log_probs

    model = stage.model
    _, token = read_name(model, template, name)
    ids, new = read_name(model, template, other)
    probs = next_log_probs(model, ids).cpu().exp()
    top = probs.topk(N_TOP).indices.tolist()
    return Result(
        {"new": float(probs[new]), "old": float(probs[token])},
        {
            "name": name,
            "other": other,
            "new": percent(float(probs[new])),
            "old": percent(float(probs[token])),
        },
        [
            Strip("story", model.token_texts(ids), [None] * len(ids), 0.0),
            _next(model, top, [float(probs[t]) for t in top]),
        ],
    )


def where_sure(stage: Stage, *, template: str, name: str) -> Result:
    """How likely the name was at its first mention and later; control: other words."""
    from tinysae.model.logprobs import token_stats

    model = stage.model
    ids, token = read_name(model, template, name)
    stats = token_stats(model, [*ids, token])
    probs = stats.prob.tolist()
    places: dict[int, list[float]] = {}
    for each, prob in zip(stats.ids.tolist(), probs, strict=True):
        places.setdefault(each, []).append(prob)
    own = places.pop(token)
    if len(own) < 2:
        raise InputError("lesson_one_mention", name=name[:40])
    gains = [np.mean(p[1:]) - p[0] for p in places.values() if len(p) > 1]
    later, control = float(np.mean(own[1:])), float(np.mean(gains)) if gains else 0.0
    return Result(
        {"gain": later - own[0], "other_gain": control},
        {
            "name": name,
            "first": percent(own[0]),
            "later": percent(later),
            "gain": _points(later - own[0]),
            "other_gain": _points(control),
        },
        [Strip("sure", model.token_texts([*ids, token]), list(probs), 1.0)],
    )


def heads_off(stage: Stage, *, template: str, name: str) -> Result:
    """The name's probability with each head off; with the name heads off, and as many
    others (control).

    Which heads those are was chosen on other stories.
    """
    from tinysae.features.intervene import HeadChange

    model = stage.model
    ids, token = read_name(model, template, name)
    best, least = name_heads(model)
    before, off = _prob(model, ids, token, [HeadChange(*head) for head in best])
    _, control = _prob(model, ids, token, [HeadChange(*head) for head in least])
    single = {
        head: _prob(model, ids, token, [HeadChange(*head)])[1]
        for head in sorted({*best, *least})
    }
    return Result(
        {"kept": _share(off, before), "kept_control": _share(control, before)},
        {
            "name": name,
            "heads": ", ".join(map(_head, best)),
            "others": ", ".join(map(_head, least)),
            "before": percent(before),
            "off": percent(off),
            "control": percent(control),
        },
        [Bars("heads", [_head(h) for h in single], list(single.values()))],
    )


def attention(stage: Stage, *, template: str, name: str) -> Result:
    """Where the name heads look from the last token; control: the other heads."""
    from tinysae.model.attention import attention_pattern

    model = stage.model
    ids, token = read_name(model, template, name)
    best, least = name_heads(model)
    at = [place for place, each in enumerate(ids) if each == token]
    layers = {layer for layer, _ in (*best, *least)}
    patterns = {layer: attention_pattern(model, ids, layer).cpu() for layer in layers}

    def seen(heads: Sequence[tuple[int, int]]) -> "Tensor":
        import torch

        rows = [patterns[layer][head, -1, 1:] for layer, head in heads]
        return torch.stack(rows).mean(0)

    own, control = seen(best), seen(least)
    on_name, on_name_control = float(own[at].sum()), float(control[at].sum())
    return Result(
        {"on_name": on_name, "on_name_control": on_name_control},
        {
            "name": name,
            "heads": ", ".join(map(_head, best)),
            "on_name": percent(on_name),
            "control": percent(on_name_control),
            "places": percent(len(at) / len(ids)),
        },
        [Strip("attention", model.token_texts(ids), own.tolist(), float(own.max()))],
    )


def features_at_name(stage: Stage, *, template: str, name: str) -> Result:
    """The features that fire most where the name first stands, and the share of their
    activation that is on any name, and on this one. Control: the same of the strongest
    features at the other tokens of the story."""
    from tinysae.features.search import feature_activations

    model, sae, index = stage.model, sae_of(stage), _index(stage)
    ids, token = read_name(model, template, name)
    acts = feature_activations(sae, model, model.decode(ids)).activations
    at = next(place for place, each in enumerate(ids) if each == token)
    order = np.argsort(-acts[at])[:N_TOP]
    active = [int(f) for f in order if acts[at, f] > 0]
    if not active:
        raise InputError("lesson_nothing_active")
    records = {feature: index.feature(feature) for feature in active}
    of_names = {model.encode(f" {each}")[0] for each in (*GIRL_NAMES, *BOY_NAMES)}

    def share(feature: int, wanted: set[int]) -> float:
        record = records.get(feature) or index.feature(feature)
        return sum(t.mass_share for t in record.tokens if t.token in wanted)

    strongest = active[:N_STRONGEST]
    on_names = float(np.mean([share(f, of_names) for f in strongest]))
    on_this = float(np.mean([share(f, {token}) for f in strongest]))
    elsewhere = [p for p, each in enumerate(ids) if each not in of_names]
    places = random.Random(0).sample(elsewhere, min(N_TOP, len(elsewhere)))
    control = float(np.mean([share(int(acts[p].argmax()), of_names) for p in places]))
    rows = [
        [
            str(feature),
            f"{acts[at, feature]:.2f}",
            " ".join(visible(t.text) for t in records[feature].tokens[:3]),
        ]
        for feature in active
    ]
    return Result(
        {"names": on_names, "this": on_this, "elsewhere": control},
        {
            "name": name,
            "feature": str(active[0]),
            "names": percent(on_names),
            "this": percent(on_this),
            "control": percent(control),
            "n": str(int((acts[at] > 0).sum())),
        },
        [
            Table("features_at", ["feature", "activation", "fires"], rows),
            _acts_strip(model, ids, acts[:, active[0]], "fires"),
        ],
    )


def promoted(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """What the features promote that are there for this name and not for another.

    The three whose activation at the last token is most above that in the same story
    about `other`; `named`: one of them has the name among the tokens it promotes most.
    Control: as many of the features that are the same in both stories.
    """
    model, sae, index = stage.model, sae_of(stage), _index(stage)
    ids, token = read_name(model, template, name)
    others, _ = read_name(model, template, other)
    a, b = _hook_acts(model, sae, ids)[-1], _hook_acts(model, sae, others)[-1]
    carriers = (a - b).topk(N_STRONGEST).indices.tolist()
    gone = (a - b).abs().masked_fill(a <= 0, float("inf"))
    same = gone.topk(N_STRONGEST, largest=False).indices.tolist()
    texts = index.promoted([*carriers, *same])

    def has(features: Sequence[int]) -> float:
        return float(any(t.token == token for f in features for t in texts[f]))

    rows = [
        [
            str(feature),
            f"{float(a[feature]):.2f}",
            f"{float(b[feature]):.2f}",
            " ".join(visible(t.text) for t in texts[feature][:4]),
        ]
        for feature in carriers
    ]
    return Result(
        {"named": has(carriers), "named_control": has(same)},
        {
            "name": name,
            "other": other,
            "features": ", ".join(map(str, carriers)),
            "n": str(sum(any(t.token == token for t in texts[f]) for f in carriers)),
            "control": str(sum(any(t.token == token for t in texts[f]) for f in same)),
        },
        [Table("carriers", ["feature", "here", "there", "promotes"], rows)],
    )


def forget_there(stage: Stage, *, template: str, name: str) -> Result:
    """Features off wherever the name stands; control: off at the last token.

    With one layer what features hold at a token never reaches later ones.
    """
    from tinysae.features.intervene import FeatureChange

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

    before, there = _prob(model, ids, token, off(at), sae)
    _, here = _prob(model, ids, token, off([last]), sae)
    return Result(
        {"kept": _share(there, before), "kept_control": _share(here, before)},
        {
            "name": name,
            "before": percent(before),
            "there": percent(there),
            "here": percent(here),
        },
        [
            Bars(
                "forget", ["before", "there", "here"], [before, there, here], named=True
            )
        ],
    )


def features_off(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """The features that attribution names for the name, off at the last token; control:
    as many random ones of those that are active there."""
    from tinysae.features.attribution import attribute
    from tinysae.features.intervene import FeatureChange

    model, sae = stage.model, sae_of(stage)
    ids, token = read_name(model, template, name)
    _, stranger = read_name(model, template, other)
    last = len(ids)
    found = attribute(model, ids, token, stranger, sae=sae)
    here = [p for p in found.features if p.kind == "feature" and p.position == last]
    here.sort(key=lambda part: -part.effect)
    chosen = here[: min(N_FEATURES_OFF, max(1, len(here) // 2))]
    rest = here[len(chosen) :]
    rest = random.Random(0).sample(rest, min(len(chosen), len(rest)))

    def off(parts: Sequence[object]) -> "list[AnyChange]":
        return [FeatureChange(p.number or 0, 0.0, (last,)) for p in parts]  # type: ignore[attr-defined]

    before, after = _prob(model, ids, token, off(chosen), sae)
    _, control = _prob(model, ids, token, off(rest), sae)
    return Result(
        {"kept": _share(after, before), "kept_control": _share(control, before)},
        {
            "name": name,
            "n": str(len(chosen)),
            "before": percent(before),
            "after": percent(after),
            "control": percent(control),
        },
        [
            Bars(
                "effects",
                [str(part.number) for part in chosen],
                [part.effect for part in chosen],
            )
        ],
    )


def transplant(
    stage: Stage, *, template: str, name: str, other: str, strength: float = 1.0
) -> Result:
    """The last token's features as they would be in the same story about `other`.

    strength: 1 goes all the way from this story's values to the other's; 0 nowhere.

    Beside it what the SAE misses: the error alone moved, and all of it. Control: as
    many random features, set to the same values.
    """
    from tinysae.features.intervene import FeatureChange

    model, sae = stage.model, sae_of(stage)
    ids, _ = read_name(model, template, name)
    others, target = read_name(model, template, other)
    x, y = _hook(model, sae, ids)[-1], _hook(model, sae, others)[-1]
    a, b = sae.encode(x), sae.encode(y)
    moved = [f for f in (b - a).abs().topk(MAX_MOVED).indices.tolist() if a[f] != b[f]]
    last = len(ids)
    to = a + strength * (b - a)
    changes = [FeatureChange(f, float(to[f]), (last,)) for f in moved]
    before, after = _prob(model, ids, target, changes, sae)
    rng = random.Random(0)
    strangers = [f for f in range(sae.d_sae) if not (a[f] > 0 or b[f] > 0)]
    strangers = rng.sample(strangers, min(len(moved), len(strangers)))
    wrong = [
        FeatureChange(f, float(max(a[own], b[own])), (last,))
        for f, own in zip(strangers, moved, strict=False)
    ]
    _, control = _prob(model, ids, target, wrong, sae)
    error = (y - sae.decode(b)) - (x - sae.decode(a))
    by_error = float(next_probs_moved(model, sae, ids, error)[target])
    whole = float(next_probs_moved(model, sae, ids, y - x)[target])
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
            "before": percent(before),
            "after": percent(after),
            "control": percent(control),
            "error": percent(by_error),
            "whole": percent(whole),
            "missing": _points(whole - after),
        },
        [
            Bars(
                "transplant",
                ["before", "random", "error", "features", "whole"],
                [before, control, by_error, after, whole],
                named=True,
            )
        ],
    )


@lru_cache(maxsize=2)
def name_heads(
    model: "LoadedModel",
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """The heads (layer, head) without which names are lost most, and as many without
    which least, on stories that no claim is checked on."""
    from tinysae.features.intervene import HeadChange
    from tinysae.model.circuit import n_heads

    heads = [(i, j) for i in range(model.n_layers) for j in range(n_heads(model))]
    n = min(N_HEADS_OFF, len(heads) // 2)
    lost = dict.fromkeys(heads, 0.0)
    read = []
    for case in name_cases(CHOOSING_SEED, N_CHOOSING):
        ids, token = read_name(model, case.template, case.name)
        read.append((ids[-model.n_ctx + 1 :], token))
    chosen: list[tuple[int, int]] = []
    # One after another: heads stand in for one another, so that by itself none counts.
    while len(chosen) < n:
        lost = {
            head: sum(
                -_log_prob(model, ids, token, [HeadChange(*h) for h in (*chosen, head)])
                for ids, token in read
            )
            for head in heads
            if head not in chosen
        }
        chosen.append(max(lost, key=lambda head: lost[head]))
    rest = sorted((h for h in heads if h not in chosen), key=lambda h: lost[h])
    return tuple(chosen), tuple(rest[:n])


def _log_prob(
    model: "LoadedModel",
    ids: Sequence[int],
    token: int,
    changes: "Sequence[AnyChange]",
) -> float:
    from tinysae.features.attribution import only_last
    from tinysae.features.intervene import applied
    from tinysae.model.forward import running

    tokens = model.to_input(ids)
    with running(model, tokens.numel()), applied(model, changes, None):
        logits = model.plain(tokens, use_cache=False, **only_last(model)).logits
    return float(logits[0, -1].float().log_softmax(-1)[token])


def _prob(
    model: "LoadedModel",
    ids: Sequence[int],
    token: int,
    changes: "Sequence[AnyChange]",
    sae: "SAE | None" = None,
) -> tuple[float, float]:
    """The token's probability after the text, before the changes and after."""
    from tinysae.features.intervene import intervene

    found = intervene(model, ids, changes, sae=sae)
    return float(found.before[-1, token].exp()), float(found.after[-1, token].exp())


def next_probs_moved(
    model: "LoadedModel", sae: "SAE", ids: Sequence[int], step: "Tensor"
) -> "Tensor":
    """Next-token probabilities [d_vocab] with `step` [d_in] added at the last token."""
    from tinysae.model.circuit import changing
    from tinysae.model.forward import running

    tokens = model.to_input(ids)

    def change(x: "Tensor") -> "Tensor":
        moved = x.clone()
        moved[:, -1] += step.to(x)
        return moved

    with running(model, tokens.numel()), changing(model, sae.hook_name, change):
        logits = model.plain(tokens, use_cache=False).logits[0, -1]
        return logits.float().softmax(-1).cpu()


def _hook(model: "LoadedModel", sae: "SAE", ids: Sequence[int]) -> "Tensor":
    """Activations [1 + n, d_in] at the SAE's hook, BOS first."""
    from tinysae.features.at_token import check_same_model
    from tinysae.model.forward import activations

    check_same_model(sae, model)
    return activations(model, model.to_input(ids), sae.hook_name)[0].float().cpu()


def _hook_acts(model: "LoadedModel", sae: "SAE", ids: Sequence[int]) -> "Tensor":
    return sae.encode(_hook(model, sae, ids))


def sae_of(stage: Stage) -> "SAE":
    """The SAE of the stage.

    Raises:
        InputError: it has none.
    """
    if stage.sae is None:
        raise InputError("lesson_needs_sae")
    return stage.sae


def _index(stage: Stage) -> "FeatureIndex":
    if stage.index is None:
        raise InputError("lesson_needs_index")
    return stage.index


def _acts_strip(
    model: "LoadedModel", ids: Sequence[int], acts: np.ndarray, title: str
) -> Strip:
    values = [value if value > 0 else None for value in acts.tolist()]
    return Strip(title, model.token_texts(ids), values, max(float(acts.max()), 1e-6))


def _next(model: "LoadedModel", tokens: Sequence[int], probs: Sequence[float]) -> Bars:
    return Bars("next", [visible(model.token_text(t)) for t in tokens], list(probs))


def _head(head: tuple[int, int]) -> str:
    return f"{head[0]}.{head[1]}"


def _share(after: float, before: float) -> float:
    """What is left of a probability."""
    return after / max(before, 1e-9)


def _points(difference: float) -> str:
    """A difference of probabilities, in percentage points."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")
