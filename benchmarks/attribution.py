"""Whether attribution and ablation hold on held-out stories, and how fast.

    python benchmarks/attribution.py

Prints tables and, as its last line, one JSON object; the figures of
`benchmarks/steering.py` are joined to these:

- sum_error: the largest gap, over 200 prompts, two SAEs and two ways of taking apart
  (features, the model's own parts), between a sum of parts and the logit difference of
  TransformerLens's Bridge;
- ablation_correlation: of predicted and measured effects of every feature that is
  active where the name comes next, switched off by itself there; pooled over the
  prompts, SAE of the block's output; ablation_correlation_mid: of the SAE before the
  MLP, whose predictions leave the MLP out;
- name_ablation_drop: the share by which the right name's mean probability falls when
  the `N_FEATURES` features with the largest effect on it (against the likeliest wrong
  name) are switched off at the token before it;
- random_ablation_drop: the larger of two controls' falls: as many other features that
  are active there, at random, are switched off; and the same activations are taken off
  along as many random features of the SAE;
- heads_ablation_drop, random_heads_ablation_drop: the same for `N_HEADS` heads;
- several_layers_correlation, several_layers_sign: the same correlation, and the share
  of effects that are predicted with the right sign, on a model of several layers that
  is made for it (`benchmarks/several_layers.py`);
- attribution_ms, ablation_ms: of a prompt of 64 tokens, median, wall-clock; CPU times
  are in the table;
- steer_time_ratio: a steered sample of 64 tokens over an unsteered one, median of
  pairs, in CPU time, add and clamp, the larger of the two.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from benchmarks import several_layers, steering
from benchmarks.common import in_turns, measuring, print_last, timed
from tinysae.data.storybook.generator import Story, stories
from tinysae.data.storybook.words import BOY_NAMES, GIRL_NAMES
from tinysae.features.why.attribution import Attribution, Part, attribute
from tinysae.features.why.intervene import (
    Effect,
    FeatureChange,
    HeadChange,
    intervene,
    measure,
)
from tinysae.features.why.steering import Steer
from tinysae.features.why.steering import steering as steered
from tinysae.library.shipped import POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.forward import running
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.generate import Around, GenerateSettings, generate_stream
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import SAE, load_sae

SOURCES = [
    "benchmarks/attribution.py",
    "benchmarks/several_layers.py",
    "tinysae/features/why/*.py",
    "tinysae/model/circuit.py",
    "tinysae/embedded/assets/storybook-sae/sae_weights.safetensors",
    "tinysae/embedded/assets/storybook-post-sae/sae_weights.safetensors",
]
N_PROMPTS = 200
NAMES_SEED = 2_000_003
# Features with the largest effect on a name, switched off together.
N_FEATURES = 5
N_HEADS = 2
N_TIMED, N_PAIRS, LONG = 30, 25, 64


def main() -> int:
    torch.manual_seed(0)
    model = load_model(STORYBOOK)
    post, mid = load_sae(POST_SAE_DIR), load_sae(STORYBOOK_SAE_DIR)
    with measuring("attribution", SOURCES, seed=NAMES_SEED) as figures:
        figures |= names(model, post, mid)
        figures |= times(model, post)
        figures |= several_layers.measured()
    print_last(figures | steering.measured(model, post))
    return 0


class NamePrompt(NamedTuple):
    """A held-out story up to where its protagonist's name comes next."""

    ids: tuple[int, ...]
    target: int
    rival: int
    prob: float


def name_prompts(model: LoadedModel) -> list[NamePrompt]:
    """One a story: in its second half, with another named character before it."""
    every = [model.encode(f" {name}")[0] for name in GIRL_NAMES + BOY_NAMES]

    def prompt(story: Story) -> NamePrompt | None:
        second = min(story.mentions.get(s, sys.maxsize) for s in ("friend", "pet_name"))
        cues = [c for c in story.name_cues if c > max(len(story.text) / 2, second)]
        if not cues:
            return None
        ids = tuple(model.encode(story.text[: cues[0]]))
        target = model.encode(f" {story.name}")[0]
        log_probs = next_log_probs(model, ids)
        rival = max(
            (n for n in every if n != target), key=lambda n: float(log_probs[n])
        )
        return NamePrompt(ids, target, rival, float(log_probs[target].exp()))

    found = (prompt(story) for story in stories(NAMES_SEED, held_out=True))
    return list(islice((p for p in found if p is not None), N_PROMPTS))


def names(model: LoadedModel, post: SAE, mid: SAE) -> dict[str, float]:
    """Everything that is measured where a name comes next."""
    prompts = name_prompts(model)
    rng = np.random.default_rng(0)
    mean_prob = statistics.fmean(prompt.prob for prompt in prompts)
    print(f"{len(prompts)} held-out prompts before a name; the right one has a")
    print(f"probability of {mean_prob:.3f} on average\n")
    errors: list[float] = []
    rows: dict[str, list[str]] = {}
    figures: dict[str, float] = {}
    for sae in (post, mid):
        falls: dict[str, list[float]] = {}
        effects: list[Effect] = []
        for prompt in prompts:
            found = attribute(model, prompt.ids, prompt.target, prompt.rival, sae=sae)
            wanted = bridge_difference(model, prompt)
            for parts in (found.features, found.components):
                errors.append(abs(sum(part.direct for part in parts) - wanted))
            active = last_features(found)
            effects += measure(model, found, active, sae)
            for name, fall in ablated(model, sae, prompt, found, rng).items():
                falls.setdefault(name, []).append(fall)
        pairs = np.array([(effect.predicted, effect.measured) for effect in effects])
        correlation = float(np.corrcoef(pairs.T)[0, 1])
        rows["correlation"] = [*rows.get("correlation", []), f"{correlation:.4f}"]
        share: dict[str, float] = {}
        for name, values in falls.items():
            share[name] = statistics.fmean(values) / mean_prob
            rows[name] = [*rows.get(name, []), f"{share[name]:.4f}"]
        if sae is post:
            figures |= {
                "ablation_correlation": round(correlation, 4),
                "name_ablation_drop": round(share["features"], 4),
                "heads_ablation_drop": round(share["heads"], 4),
                "random_heads_ablation_drop": round(share["  random heads"], 4),
                "random_ablation_drop": round(
                    max(
                        share["  random active features"],
                        share["  random features, same activations"],
                    ),
                    4,
                ),
            }
        else:
            figures["ablation_correlation_mid"] = round(correlation, 4)
    print(f"{'':44}{'resid_post':>12}{'resid_mid':>12}")
    for name, values in rows.items():
        print(f"{name:44}" + "".join(f"{value:>12}" for value in values))
    print()
    return {"sum_error": max(errors), **figures}


def bridge_difference(model: LoadedModel, prompt: NamePrompt) -> float:
    """The logit difference as TransformerLens computes it."""
    tokens = model.to_input(prompt.ids)
    with running(model, tokens.numel()):
        logits = model.bridge(tokens)[0, -1].double()
    return float(logits[prompt.target] - logits[prompt.rival])


def last_features(found: Attribution) -> list[Part]:
    last = found.n_tokens - 1
    return [p for p in found.features if p.kind == "feature" and p.position == last]


def ablated(
    model: LoadedModel,
    sae: SAE,
    prompt: NamePrompt,
    found: Attribution,
    rng: np.random.Generator,
) -> dict[str, float]:
    """By how much the name's probability falls, for each thing that is done."""
    at = (found.n_tokens - 1,)

    def fall(changes: Sequence[FeatureChange | HeadChange]) -> float:
        done = intervene(model, prompt.ids, changes, sae=sae)
        return prompt.prob - float(done.after[-1, prompt.target].exp())

    active = last_features(found)
    chosen = [part for part in active if part.effect > 0][:N_FEATURES]
    mine = {part.number for part in chosen}
    others = [part for part in active if part.number not in mine]
    picked = rng.permutation(len(others))[: len(chosen)]
    strangers = rng.choice(
        [f for f in range(sae.d_sae) if f not in mine], len(chosen), replace=False
    ).tolist()
    now = {part.number: part.activation or 0.0 for part in active}
    heads = sorted(
        (part for part in found.components if part.kind == "head"),
        key=lambda part: -part.effect,
    )

    def off(parts: Sequence[Part]) -> list[FeatureChange]:
        return [FeatureChange(part.number or 0, 0.0, at) for part in parts]

    def heads_off(parts: Sequence[Part]) -> list[HeadChange]:
        return [HeadChange(p.layer or 0, p.number or 0, 0.0, at) for p in parts]

    rest = [heads[N_HEADS:][i] for i in rng.permutation(len(heads) - N_HEADS)]
    return {
        "features": fall(off(chosen)),
        "  random active features": fall(off([others[i] for i in picked])),
        "  random features, same activations": fall(
            [
                FeatureChange(f, now.get(f, 0.0) - (part.activation or 0.0), at)
                for f, part in zip(strangers, chosen, strict=True)
            ]
        ),
        "heads": fall(heads_off(heads[:N_HEADS])),
        "  random heads": fall(heads_off(rest[:N_HEADS])),
        "features and heads": fall([*off(chosen), *heads_off(heads[:N_HEADS])]),
    }


def times(model: LoadedModel, sae: SAE) -> dict[str, float]:
    """Medians of what a page waits for, on 64 tokens."""
    text = " ".join(story.text for story in islice(stories(1, held_out=True), 3))
    ids = model.encode(text)[:LONG]
    target, rival = model.encode(" Lily")[0], model.encode(" Ben")[0]
    found = attribute(model, ids, target, rival, sae=sae)
    off = [FeatureChange(part.number or 0) for part in last_features(found)[:3]]
    attribution, ablation = in_turns(
        [
            lambda: attribute(model, ids, target, rival, sae=sae),
            lambda: intervene(model, ids, off, sae=sae),
        ],
        N_TIMED,
    )
    settings = GenerateSettings(max_new_tokens=LONG, stop_at_eos=False)
    ratios: dict[str, float] = {}

    def write(around: Around | None) -> float:
        def work() -> None:
            for _ in generate_stream(model, ids[:8], settings, around=around):
                pass

        return timed(work).cpu

    for mode in ("add", "clamp"):
        around = steered(model, sae, [Steer(1, 0.3, 10.0, mode)])
        write(around)
        write(None)
        pairs = [(write(around), write(None)) for _ in range(N_PAIRS)]
        ratios[mode] = statistics.median(a / b for a, b in pairs)
    print(f"{'':24}{'wall, ms':>10}{'CPU, ms':>10}")
    for name, (wall, cpu) in (("attribution", attribution), ("ablation", ablation)):
        print(f"{name:24}{1e3 * wall:10.1f}{1e3 * cpu:10.1f}")
    for mode, ratio in ratios.items():
        print(f"steered ({mode}), CPU time over unsteered: {ratio:.3f}")
    print()
    return {
        "attribution_ms": round(1e3 * attribution.wall, 2),
        "ablation_ms": round(1e3 * ablation.wall, 2),
        "steer_time_ratio": round(max(ratios.values()), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
