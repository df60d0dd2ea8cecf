"""Whether a concept's own feature makes the model write more of it.

    python benchmarks/steering.py

Prints a table and, as its last line, one JSON object:

- concepts_steered_of_20: of the 20 concepts, how many the feature that reads them best
  (about to be named, by F1, `features/names/concepts.py`) makes at least threefold as
  frequent in text written after held-out prompts, with the unsteered model's loss on it
  at most 1.5 times that on its own text. The strength is chosen on other prompts: the
  weakest that makes the concept `TUNED_TIMES` as frequent there (and frequent enough to
  be counted), or else the strongest that keeps the loss within `TUNED_RATIO`, by
  halving;
- random_features_steered_of_20: the same for the feature whose density is nearest to
  that one's (and which is not among the concept's own), counting the same concepts;
- common_concepts_steered_of_20: the same for the 20 commoner concepts that are read
  best;
- steered_loss_ratio: mean over the concepts that pass, of those loss ratios.

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

import math
import sys
from itertools import islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from benchmarks.common import measuring, print_last
from tinysae.data.storybook.generator import stories
from tinysae.data.storybook.words import CONCEPTS
from tinysae.features.index.reader import open_index
from tinysae.features.names.concept_tokens import concept_tokens
from tinysae.features.names.concepts import read_concepts
from tinysae.features.why.steering import Steer, steering
from tinysae.library.shipped import POST_FEATURES_DIR, POST_SAE_DIR
from tinysae.model.forward import running
from tinysae.model.sources import STORYBOOK, LoadedModel, load_model
from tinysae.model.text.generate import Around
from tinysae.sae.load import SAE, load_sae

SOURCES = [
    "benchmarks/steering.py",
    "tinysae/features/why/steering.py",
    "tinysae/features/names/concepts.py",
    "tinysae/embedded/assets/storybook-post-sae/sae_weights.safetensors",
    "tinysae/embedded/assets/storybook-post-features/concepts.json",
]
TUNING_SEED, WRITING_SEED = 2_000_029, 2_000_147
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
    print_last(measured(load_model(STORYBOOK), load_sae(POST_SAE_DIR)))
    return 0


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
        found = concept_tokens(
            chunks, self.model.vocabulary.token_bytes, self.model.bos_id
        )
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


def measured(model: LoadedModel, sae: SAE) -> dict[str, float]:
    """Takes the figures of the module's docstring down, and returns them."""
    with measuring("steering", SOURCES, seed=WRITING_SEED) as figures:
        figures |= concepts(model, sae)
    return figures


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
        "common_concepts_steered_of_20": sum(bool(one.passes) for one in commoner),
        "random_features_steered_of_20": sum(bool(one.passes) for one in controls),
        "steered_loss_ratio": round(float(np.mean(ratios)), 4) if ratios else 99.0,
    }


if __name__ == "__main__":
    sys.exit(main())
