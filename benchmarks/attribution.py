"""Whether attribution, ablation and steering hold on held-out stories, and how fast.

    python benchmarks/attribution.py

Prints tables and, as its last line, one JSON object:

- sum_error: the largest gap, over 200 prompts, two SAEs and two ways of taking apart
  (features, the model's own parts), between a sum of parts and the logit difference of
  TransformerLens's Bridge;
- ablation_correlation: of predicted and measured effects of every feature that is
  active where the name comes next, switched off by itself there; pooled over the
  prompts, SAE of the block's output;
- name_ablation_drop: the share by which the right name's mean probability falls when
  the `N_FEATURES` features with the largest effect on it (against the likeliest wrong
  name) are switched off at the token before it;
- random_ablation_drop: the larger of two controls' falls: as many other features that
  are active there, at random, are switched off; and the same activations are taken off
  along as many random features of the SAE;
- concepts_steered_of_20: of the 20 concepts, how many the feature that reads them best
  (about to be named, by F1, `features/names/concepts.py`) makes at least threefold as
  frequent in text written after held-out prompts, with the unsteered model's loss on it
  at most 1.5 times that on its own text. The strength is chosen on other prompts: the
  weakest that makes the concept `TUNED_TIMES` as frequent there (and frequent enough to
  be counted), or else the strongest that keeps the loss within `TUNED_RATIO`, by
  halving;
- random_features_steered_of_20: the same for the feature whose density is nearest to
  that one's (and which is not among the concept's own), counting the same concepts;
- steered_loss_ratio: mean over the concepts that pass, of those loss ratios;
- attribution_ms, ablation_ms: of a prompt of 64 tokens, median, wall-clock; CPU times
  are in the table;
- steer_time_ratio: a steered sample of 64 tokens over an unsteered one, median of
  pairs, in CPU time, add and clamp, the larger of the two.

The 20 concepts: those with the best single "about to" feature by F1 on the reporting
stories, of the concepts that make up less than `COMMON` of unsteered text. The best 20
of the commoner ones are in the table too, with what an ideal push could do: a bias on
exactly the concept's tokens. What is common already cannot be tripled at such a loss by
anything (a full stop 1.3 times), and one feature reaches about half of the ideal.

How the rule came about: `TUNED_TIMES` and `TUNED_RATIO` are the fifth pair tried, and
`COMMON` and `MIN_COUNT` were lowered (from 0.02 and 20), all while looking at texts of
other seeds than `WRITING_SEED`, where the last pair gave 15 of 20. The seed was then
changed once and the rule no more.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from tinysae.data.storybook import BOY_NAMES, CONCEPTS, GIRL_NAMES, Story, stories
from tinysae.features.index.reader import open_index
from tinysae.features.names.concept_tokens import concept_tokens
from tinysae.features.names.concepts import read_concepts
from tinysae.features.why.attribution import Attribution, Part, attribute
from tinysae.features.why.intervene import (
    Effect,
    FeatureChange,
    HeadChange,
    intervene,
    measure,
)
from tinysae.features.why.steering import Steer, steering
from tinysae.library.shipped import POST_FEATURES_DIR, POST_SAE_DIR, STORYBOOK_SAE_DIR
from tinysae.model.forward import running
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.generate import Around, GenerateSettings, generate_stream
from tinysae.model.text.logprobs import next_log_probs
from tinysae.sae.load import SAE, load_sae

N_PROMPTS = 200
NAMES_SEED, TUNING_SEED, WRITING_SEED = 2_000_003, 2_000_029, 2_000_147
# Features with the largest effect on a name, switched off together.
N_FEATURES = 5
N_HEADS = 2
N_TIMED, N_PAIRS, LONG = 30, 25, 64

N_CONCEPTS = 20
COMMON = 0.005
STRENGTHS, HALVINGS = (0.2, 1.0), 5
TUNED_TIMES, TUNED_RATIO = 5.0, 1.5
TIMES, MAX_RATIO = 3.0, 1.5
# Tokens of a prompt and written after it, texts: 12,288 tokens to count concepts among.
# Unsteered there are more, because a rare concept is seldom seen.
GIVEN, WRITTEN, TEXTS, TUNING_TEXTS, OWN_TEXTS = 24, 48, 256, 256, 1024
# Fewer than this many are no evidence.
MIN_COUNT = 10
# Of the ideal push, in nats, found by halving.
MAX_BIAS, BISECTIONS = 20.0, 12


def main() -> int:
    torch.manual_seed(0)
    model = load_model(STORYBOOK)
    post, mid = load_sae(POST_SAE_DIR), load_sae(STORYBOOK_SAE_DIR)
    figures = {
        **names(model, post, mid),
        **times(model, post),
        **concepts(model, post),
    }
    print(json.dumps(figures))
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
            figures = {
                "ablation_correlation": round(correlation, 4),
                "name_ablation_drop": round(share["features"], 4),
                "random_ablation_drop": round(
                    max(
                        share["  random active features"],
                        share["  random features, same activations"],
                    ),
                    4,
                ),
            }
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
    attribution = timed(lambda: attribute(model, ids, target, rival, sae=sae))
    ablation = timed(lambda: intervene(model, ids, off, sae=sae))
    settings = GenerateSettings(max_new_tokens=LONG, stop_at_eos=False)
    ratios: dict[str, float] = {}

    def write(around: Around | None) -> float:
        start = time.process_time()
        for _ in generate_stream(model, ids[:8], settings, around=around):
            pass
        return time.process_time() - start

    for mode in ("add", "clamp"):
        around = steering(model, sae, [Steer(1, 0.3, 10.0, mode)])
        write(around)
        write(None)
        pairs = [(write(around), write(None)) for _ in range(N_PAIRS)]
        ratios[mode] = statistics.median(a / b for a, b in pairs)
    print(f"{'':24}{'wall, ms':>10}{'CPU, ms':>10}")
    for name, (wall, cpu) in (("attribution", attribution), ("ablation", ablation)):
        print(f"{name:24}{wall:10.1f}{cpu:10.1f}")
    for mode, ratio in ratios.items():
        print(f"steered ({mode}), CPU time over unsteered: {ratio:.3f}")
    print()
    return {
        "attribution_ms": round(attribution[0], 2),
        "ablation_ms": round(ablation[0], 2),
        "steer_time_ratio": round(max(ratios.values()), 3),
    }


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Medians of wall-clock and CPU time, in milliseconds."""
    work()
    walls, cpus = [], []
    for _ in range(N_TIMED):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return 1e3 * statistics.median(walls), 1e3 * statistics.median(cpus)


class Texts(NamedTuple):
    """Texts written after prompts, all of the same lengths.

    loss: the unsteered model's on what was written, nats a token. share [n_concepts]:
    of the written tokens, how many belong to each concept.
    """

    loss: float
    share: NDArray[np.float64]


class Writer:
    """Writes many texts at once after the same held-out prompts."""

    def __init__(self, model: LoadedModel, seed: int, n: int) -> None:
        self.model, self.seed = model, seed
        ids = (model.encode(story.text) for story in stories(seed, held_out=True))
        kept = islice((i[:GIVEN] for i in ids if len(i) >= GIVEN), OWN_TEXTS)
        self.prompts = torch.tensor([[model.bos_id, *prompt] for prompt in kept])
        share = self.write(None).share
        self.prompts = self.prompts[:n]
        # The loss is held against that of the same prompts.
        self.own = self.write(None)._replace(share=share)

    def write(self, around: Around | None) -> Texts:
        texts = self._written(around)
        labels, _ = self._labels(texts)
        return Texts(self._loss(texts), labels.mean(0))

    def ideal(self) -> NDArray[np.float64]:
        """How many times as frequent a bias on exactly a concept's tokens makes it, at
        `MAX_RATIO` times the loss, a token at a time, for each concept."""
        texts = self._written(None)
        labels, tokens = self._labels(texts)
        given = texts[: len(texts) // 4]
        with running(self.model, given.numel()):
            logits = self.model.plain(given, use_cache=False).logits[:, GIVEN:-1]
        log_probs = logits.flatten(0, 1).log_softmax(-1)
        # Of each token of the vocabulary, how often it belongs to each concept.
        belongs = torch.zeros(log_probs.shape[1], labels.shape[1])
        belongs.index_add_(0, tokens, torch.from_numpy(labels).float())
        belongs /= torch.bincount(tokens, minlength=len(belongs)).clamp_min(1)[:, None]
        own = float(-(log_probs.exp() * log_probs).sum(-1).mean())
        shares = (log_probs.exp() @ belongs).mean(0)

        def times(concept: int) -> float:
            low, high, found = 0.0, MAX_BIAS, 1.0
            for _ in range(BISECTIONS):
                bias = (low + high) / 2
                pushed = (log_probs + bias * belongs[:, concept]).softmax(-1)
                if -float((pushed * log_probs).sum(-1).mean()) > MAX_RATIO * own:
                    high = bias
                    continue
                low = bias
                found = float((pushed @ belongs[:, concept]).mean() / shares[concept])
            return found

        return np.array(
            [times(i) if shares[i] > 0 else 0.0 for i in range(len(shares))]
        )

    def _written(self, around: Around | None) -> torch.Tensor:
        model, generator = self.model, torch.Generator().manual_seed(self.seed)
        cache = DynamicCache(config=model.plain.config)
        tokens, n_read, written = self.prompts, 0, []
        for _ in range(WRITTEN):
            with running(model, tokens.numel()):
                if around is None:
                    logits = self._forward(tokens, cache)
                else:
                    with around(n_read):
                        logits = self._forward(tokens, cache)
            n_read += tokens.shape[1]
            # By the inverse of the distribution function: `multinomial` is six times
            # as slow as the model.
            drawn = torch.rand(len(tokens), 1, generator=generator)
            heap = logits.softmax(-1).cumsum(-1)
            tokens = torch.searchsorted(heap, drawn * heap[:, -1:])
            written.append(tokens)
        return torch.cat([self.prompts, *written], dim=1)

    def _forward(self, tokens: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        plain = self.model.plain
        return plain(tokens, past_key_values=cache, use_cache=True).logits[:, -1]

    def _loss(self, texts: torch.Tensor) -> float:
        losses = []
        for part in texts.split(64):
            with running(self.model, part.numel()):
                logits = self.model.plain(part, use_cache=False).logits[:, GIVEN:-1]
            log_probs = logits.double().log_softmax(-1)
            losses.append(-log_probs.gather(2, part[:, 1 + GIVEN :, None]).flatten())
        return float(torch.cat(losses).mean())

    def _labels(self, texts: torch.Tensor) -> tuple[NDArray[np.bool_], torch.Tensor]:
        """Of each written token the concepts [n, n_concepts], and its id [n]."""
        # The last token of a context is left out by `concept_tokens`: BOS takes its
        # place.
        end = torch.full((len(texts), 1), self.model.bos_id)
        chunks = torch.cat([texts, end], dim=1).numpy().astype(np.int32)
        assert self.model.token_bytes is not None
        found = concept_tokens(chunks, self.model.token_bytes, self.model.bos_id)
        is_written = found.rows % chunks.shape[1] > GIVEN
        tokens = torch.from_numpy(found.tokens[is_written]).long()
        return found.labels[is_written, : len(CONCEPTS)], tokens


class Steered(NamedTuple):
    """What a feature did to a concept at the strength that was chosen elsewhere."""

    strength: float
    times: float
    ratio: float
    n_named: float

    @property
    def passes(self) -> bool:
        enough = self.times >= TIMES and self.n_named >= MIN_COUNT
        return enough and self.ratio <= MAX_RATIO


def concepts(model: LoadedModel, sae: SAE) -> dict[str, float]:
    """Steers towards concepts with their own features, and with random ones."""
    report = read_concepts(POST_FEATURES_DIR)
    assert report is not None
    table = open_index(POST_FEATURES_DIR).table()
    max_act, density = table["max_act"].to_numpy(), table["density"].to_numpy()
    tuning = Writer(model, TUNING_SEED, TUNING_TEXTS)
    writing = Writer(model, WRITING_SEED, TEXTS)
    column = {name: at for at, name in enumerate(CONCEPTS)}
    readings = sorted(
        (-reading.score.f1, result.concept, reading.features)
        for result in report.concepts
        for reading in result.readings
        if reading.reading == "about_to"
    )
    is_rare = {name: tuning.own.share[at] < COMMON for name, at in column.items()}
    rare = [each for each in readings if is_rare[each[1]]][:N_CONCEPTS]
    common = [each for each in readings if not is_rare[each[1]]][:N_CONCEPTS]
    ideal = tuning.ideal()
    rng = np.random.default_rng(0)

    def steer(concept: str, feature: int) -> Steered:
        def texts(writer: Writer, strength: float) -> Texts:
            each = Steer(feature, strength, float(max_act[feature]))
            return writer.write(steering(model, sae, [each]))

        at = column[concept]
        goal = TUNED_TIMES * max(tuning.own.share[at], 1 / (OWN_TEXTS * WRITTEN))
        goal = max(goal, 4 * MIN_COUNT / (TEXTS * WRITTEN))
        low, high = STRENGTHS
        strength = low
        for _ in range(HALVINGS):
            tried = math.sqrt(low * high)
            written = texts(tuning, tried)
            if written.loss > TUNED_RATIO * tuning.own.loss:
                high = tried
                continue
            strength = tried
            if written.share[at] >= goal:
                high = tried
            else:
                low = tried
        found, n = texts(writing, strength), TEXTS * WRITTEN
        share = found.share[at]
        # A concept that the model never named counts as named once.
        own = max(writing.own.share[at], 1 / (OWN_TEXTS * WRITTEN))
        return Steered(strength, share / own, found.loss / writing.own.loss, share * n)

    def shown(minus_f1: float, concept: str, feature: int, found: Steered) -> str:
        at = column[concept]
        share = 100 * tuning.own.share[at]
        return (
            f"{concept:17}{-minus_f1:5.2f}{share:8.2f}{ideal[at]:7.1f}{feature:9}"
            f"{found.strength:9.2f}{found.times:7.1f}{found.ratio:6.2f}"
            f"{'  *' if found.passes else '   '}"
        )

    print(
        f"own loss {writing.own.loss:.3f} nats a token, while tuning "
        f"{tuning.own.loss:.3f}"
    )
    heads = ("strength", "times", "loss")
    print(f"{'concept':17}{'F1':>5}{'% of it':>8}{'ideal':>7}{'feature':>9}", end="")
    print("{:>9}{:>7}{:>6}   | random".format(*heads), "{:>8}{:>8}{:>6}".format(*heads))
    mine, controls, commoner = [], [], []
    for minus_f1, concept, features in rare:
        feature = features[0].feature
        own = {one.feature for _, name, found in readings if name == concept
               for one in found}  # fmt: skip
        order = np.argsort(np.abs(np.log(density + 1e-9) - np.log(density[feature])))
        near = [f for f in order.tolist() if f not in own and f != feature][:5]
        control = int(rng.choice(near))
        mine.append(steer(concept, feature))
        controls.append(steer(concept, control))
        other = controls[-1]
        print(
            f"{shown(minus_f1, concept, feature, mine[-1])}| {control:6}"
            f"{other.strength:9.2f}{other.times:8.1f}{other.ratio:6.2f}"
            f"{'  *' if other.passes else ''}",
            flush=True,
        )
    for minus_f1, concept, features in common:
        commoner.append(steer(concept, features[0].feature))
        print(shown(minus_f1, concept, features[0].feature, commoner[-1]), flush=True)
    print(
        f"of the commoner ones {sum(one.passes for one in commoner)} of {len(common)}"
    )
    ratios = [one.ratio for one in mine if one.passes]
    return {
        "concepts_steered_of_20": sum(bool(one.passes) for one in mine),
        "random_features_steered_of_20": sum(bool(one.passes) for one in controls),
        "steered_loss_ratio": round(float(np.mean(ratios)), 4) if ratios else 99.0,
    }


if __name__ == "__main__":
    sys.exit(main())
