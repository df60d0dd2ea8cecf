"""How a model remembers a name: questions about one story, put to the model.

Each takes a story in which `{name}` stands for the name and that ends where the name
comes next, and asks how likely the model finds it there. `name_features` asks its SAE.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from tinysae.errors import InputError
from tinysae.lessons.calls.cases import CHOOSING_SEED, name_cases, read_name
from tinysae.lessons.calls.model_cache import kept_with_model
from tinysae.lessons.calls.probabilities import points, probability, share
from tinysae.lessons.calls.results import Bars, Result, Stage, Strip, percents
from tinysae.render.visible import as_words

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.intervene import AnyChange
    from tinysae.model.sources import LoadedModel

N_TOP: Final = 8
N_CHOOSING: Final = 6
"""Stories on which a model's name heads are chosen."""
N_HEADS_OFF: Final = 3


def name_rank(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """Whether the name is the likeliest next token; control: a name not mentioned."""
    from tinysae.model.text.logprobs import next_log_probs

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
            **percents(prob=float(probs[token]), stranger=float(probs[stranger])),
        },
        [
            Strip("story", model.token_texts(ids), [None] * len(ids), 0.0),
            _next(model, top, [float(probs[t]) for t in top]),
        ],
    )


def name_swap(stage: Stage, *, template: str, name: str, other: str) -> Result:
    """The same story about somebody else: the answer goes with it."""
    from tinysae.model.text.logprobs import next_log_probs

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
            **percents(new=float(probs[new]), old=float(probs[token])),
        },
        [
            Strip("story", model.token_texts(ids), [None] * len(ids), 0.0),
            _next(model, top, [float(probs[t]) for t in top]),
        ],
    )


def where_sure(stage: Stage, *, template: str, name: str) -> Result:
    """How likely the name was at its first mention and later; control: other words."""
    from tinysae.model.text.logprobs import token_stats

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
            **percents(first=own[0], later=later),
            "gain": points(later - own[0]),
            "other_gain": points(control),
        },
        [Strip("sure", model.token_texts([*ids, token]), list(probs), 1.0)],
    )


def heads_off(stage: Stage, *, template: str, name: str) -> Result:
    """The name's probability with each head off; with the name heads off, and as many
    others (control).

    Which heads those are was chosen on other stories.
    """
    from tinysae.features.why.intervene import HeadChange

    model = stage.model
    ids, token = read_name(model, template, name)
    best, least = name_heads(model)
    before, off = probability(model, ids, token, [HeadChange(*head) for head in best])
    _, control = probability(model, ids, token, [HeadChange(*head) for head in least])
    single = {
        head: probability(model, ids, token, [HeadChange(*head)])[1]
        for head in sorted({*best, *least})
    }
    return Result(
        {"kept": share(off, before), "kept_control": share(control, before)},
        {
            "name": name,
            "heads": ", ".join(map(_head, best)),
            "others": ", ".join(map(_head, least)),
            **percents(before=before, off=off, control=control),
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
            **percents(
                on_name=on_name, control=on_name_control, places=len(at) / len(ids)
            ),
        },
        [Strip("attention", model.token_texts(ids), own.tolist(), float(own.max()))],
    )


@kept_with_model(2)
def name_heads(
    model: "LoadedModel",
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """The heads (layer, head) without which names are lost most, and as many without
    which least, on stories that no claim is checked on."""
    from tinysae.features.why.intervene import HeadChange
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
    from tinysae.features.why.intervene import applied
    from tinysae.model.forward import only_last, running

    tokens = model.to_input(ids)
    with running(model, tokens.numel()), applied(model, changes, None):
        logits = model.plain(tokens, use_cache=False, **only_last(model)).logits
    return float(logits[0, -1].float().log_softmax(-1)[token])


def _next(model: "LoadedModel", tokens: Sequence[int], probs: Sequence[float]) -> Bars:
    words = as_words([model.token_text(token) for token in tokens])
    return Bars("next", words, list(probs))


def _head(head: tuple[int, int]) -> str:
    return f"{head[0]}.{head[1]}"
