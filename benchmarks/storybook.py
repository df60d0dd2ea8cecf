"""The embedded model held against what it claims, on stories it never saw.

Prints a table, 20 samples in full, and as its last line one JSON object:

- name_recall: share of 300 held-out prompts, each ending in the second half of a story
  where the protagonist's name comes next and with another named character in it, after
  which the right name is likelier than every other name of the storybook;
- pronoun_recall: likewise "she" against "he";
- loss_over_bigram: held-out loss over that of a Kneser-Ney bigram fitted on training
  stories;
- slot_8gram_share: share of those prompts that have eight fillers in a row, by order of
  first appearance, as some story of the whole training stream has them;
- assets_mb: everything under tinysae/embedded/assets;
- sae_ce_recovered, sae_l0, sae_dead_share, sae_d_sae: the embedded SAE on 200k held-out
  tokens; see `tinysae.sae.evaluate` for the formulas.

With --save the model's figures and five samples also go into its card.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.common import measuring, options, print_last
from tinysae.config import TrainConfig
from tinysae.data.storybook.generator import Story, stories
from tinysae.data.storybook.words import BOY_NAMES, GIRL_NAMES, PET_NAMES
from tinysae.embedded.cards import write_model_card
from tinysae.embedded.recipe import END_ID, Recipe
from tinysae.embedded.train_model import (
    contexts,
    held_out_contexts,
    mean_loss,
)
from tinysae.library.shipped import STORYBOOK_SAE_DIR
from tinysae.model.sources import load_model
from tinysae.sae.evaluate import Evaluation
from tinysae.sae.load import load_sae
from tinysae.worker.finish import evaluated
from tinysae.worker.held_out import HeldOut

SOURCES = [
    "benchmarks/storybook.py",
    "tinysae/sae/evaluate.py",
    "tinysae/embedded/assets/storybook/model.safetensors",
    "tinysae/embedded/assets/storybook-sae/sae_weights.safetensors",
]
ASSETS = Path(__file__).resolve().parents[1] / "tinysae" / "embedded" / "assets"
FOLDER = ASSETS / "storybook"
N_PROMPTS = 300
N_SAMPLES = 20
N_CARD_SAMPLES = 5
TEMPERATURE = 0.8
N_FILLERS = 8
BIGRAM_CONTEXTS = 10_000
"""2.5M tokens: twice as many lower the bigram's loss by less than 0.002."""
DISCOUNT = 0.75
"""Ney's usual absolute discount."""
# A story of training takes about one context; a few more cost nothing.
STORIES_PER_CONTEXT = 1.1


@dataclass(frozen=True)
class Prompt:
    """A held-out story up to a cue."""

    story: Story
    end: int

    @property
    def text(self) -> str:
        return self.story.text[: self.end]

    @property
    def fillers(self) -> tuple[str, ...]:
        """The slots' fillers in order of first appearance in the prompt."""
        return _fillers(self.story, self.end)

    @property
    def is_mixed(self) -> bool:
        """Whether the friend's pronoun is the other one."""
        friend = self.story.slots.get("friend")
        girls = GIRL_NAMES
        return friend is not None and (friend in girls) != (self.story.name in girls)


def main() -> int:
    parser = argparse.ArgumentParser(description="The embedded model's figures.")
    parser.add_argument("--save", action="store_true", help="write them into the card")
    asked, variant = options(parser, free=["save"])
    with measuring("storybook", SOURCES, variant=variant) as figures:
        figures |= measured(asked.save)
    print_last(figures)
    return 0


def measured(save: bool) -> dict[str, float]:
    """All figures; prints the table, and writes them into the card if asked to."""
    figures, lines, written = model_figures()
    sae, sae_lines = sae_figures()
    width = max(len(name) for name, _ in lines + sae_lines)
    for name, value in lines + sae_lines:
        print(f"{name:<{width}}  {value}")
    if save:
        facts = json.loads((FOLDER / "storybook.json").read_text(encoding="utf-8"))
        facts |= {"figures": figures, "samples": written[:N_CARD_SAMPLES]}
        write_model_card(FOLDER, facts)
    return figures | sae


def sae_figures() -> tuple[dict[str, float], list[tuple[str, str]]]:
    """The embedded SAE's figures (`sae_*`) and their rows in the table.

    Measured here and now, on the text every SAE's evaluation reads.
    """
    config = TrainConfig.loads(
        (STORYBOOK_SAE_DIR / "config.json").read_text(encoding="utf-8")
    )
    model = load_model(config.model_name)
    found = evaluated(load_sae(STORYBOOK_SAE_DIR), model, HeldOut.of(config))
    figures = {
        "sae_d_sae": found.d_sae,
        "sae_ce_recovered": round(found.ce_loss_score, 4),
        "sae_l0": round(found.l0, 2),
        "sae_dead_share": round(found.dead_share, 4),
        "sae_explained_variance": round(found.explained_variance, 4),
        **losses(found),
    }
    lines = [
        ("SAE, features", f"{found.d_sae:,} on {found.n_tokens:,} held-out tokens"),
        ("SAE, CE loss recovered", f"{found.ce_loss_score:.4f}"),
        ("SAE, L0", f"{found.l0:.2f}"),
        ("SAE, explained variance", f"{found.explained_variance:.4f}"),
        ("SAE, dead", f"{found.dead_share:.2%}"),
    ]
    return figures, lines


def losses(found: Evaluation) -> dict[str, float]:
    """The model's loss with the SAE's rewriting in place, without, and with zeros
    there instead: what CE loss recovered is made of. Nats a token."""
    return {
        "ce_loss_sae": round(found.ce_loss_sae, 4),
        "ce_loss_clean": round(found.ce_loss_clean, 4),
        "ce_loss_zero": round(found.ce_loss_zero, 4),
    }


def model_figures() -> tuple[dict[str, float], list[tuple[str, str]], list[str]]:
    """The model's figures, their rows in the table, and its samples (printed)."""
    facts = json.loads((FOLDER / "storybook.json").read_text(encoding="utf-8"))
    recipe = Recipe(**facts["recipe"])
    seed = facts["seed"]
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER).eval()

    print(f"{N_SAMPLES} samples at temperature {TEMPERATURE}, seeds 0 ...\n")
    written = list(samples(model, tokenizer))
    for number, text in enumerate(written):
        print(f"[{number}] {text}\n")

    name_prompts = prompts(seed, "name")
    pronoun_prompts = prompts(seed, "pronoun")
    names = (*GIRL_NAMES, *BOY_NAMES, *PET_NAMES)
    name_right = [
        best_of(model, tokenizer, p.text, names) == p.story.name for p in name_prompts
    ]
    pronoun_right = [
        best_of(model, tokenizer, p.text, ("she", "he")) == p.story.pronoun
        for p in pronoun_prompts
    ]
    mixed = [
        right
        for right, p in zip(pronoun_right, pronoun_prompts, strict=True)
        if p.is_mixed
    ]
    held_out = held_out_contexts(tokenizer.backend_tokenizer, seed, recipe)
    loss = mean_loss(model, held_out)
    train = contexts(tokenizer.backend_tokenizer, seed, recipe.context)
    fitted = torch.stack(list(islice(train, BIGRAM_CONTEXTS))).numpy()
    unigram, bigram = ngram_losses(fitted, held_out.numpy(), model.config.vocab_size)
    n_stories = int(facts["tokens"] / recipe.context * STORIES_PER_CONTEXT)
    shared = eight_gram_share([*name_prompts, *pronoun_prompts], seed, n_stories)
    size = sum(f.stat().st_size for f in ASSETS.rglob("*") if f.is_file()) / 1e6

    figures = {
        "name_recall": _mean(name_right),
        "pronoun_recall": _mean(pronoun_right),
        "pronoun_recall_mixed": _mean(mixed),
        "loss_over_bigram": round(loss / bigram, 4),
        "loss": round(loss, 4),
        "loss_bigram": round(bigram, 4),
        "loss_unigram": round(unigram, 4),
        "slot_8gram_share": shared,
        "assets_mb": round(size, 2),
    }
    lines = [
        ("training tokens", f"{facts['tokens']:,}"),
        ("name recall", f"{figures['name_recall']:.3f} of {len(name_right)}"),
        ("pronoun recall", f"{figures['pronoun_recall']:.3f} of {len(pronoun_right)}"),
        ("  friend of the other", f"{figures['pronoun_recall_mixed']:.3f}"),
        ("held-out loss, unigram", f"{unigram:.3f} nats a token"),
        ("held-out loss, bigram", f"{bigram:.3f}"),
        ("held-out loss, model", f"{loss:.3f} ({loss / bigram:.3f} of the bigram's)"),
        ("slot 8-grams shared", f"{shared:.3f} with {n_stories:,} training stories"),
        ("assets", f"{size:.2f} MB"),
    ]
    return figures, lines, written


def prompts(seed: int, cue: str) -> list[Prompt]:
    """The first held-out stories' prompts, one a story; `cue`: "name" or "pronoun"."""

    def told() -> Iterator[Prompt]:
        for turn, story in enumerate(stories(seed, held_out=True)):
            cues = story.name_cues if cue == "name" else story.pronoun_cues
            second = min(story.mentions.get(s, sys.maxsize) for s in _SECOND)
            usable = [
                at
                for at in cues
                if at > max(len(story.text) / 2, second)
                and len(_fillers(story, at)) >= N_FILLERS
            ]
            if usable:
                yield Prompt(story, usable[turn % len(usable)])

    return list(islice(told(), N_PROMPTS))


_SECOND = ("friend", "pet_name")


def _fillers(story: Story, end: int) -> tuple[str, ...]:
    return tuple(
        story.slots[slot]
        for slot, at in sorted(story.mentions.items(), key=lambda item: item[1])
        if at < end
    )


def best_of(model: Any, tokenizer: Any, text: str, words: tuple[str, ...]) -> str:
    """The likeliest of `words` (each one token with its space) after `text`."""
    ids = [END_ID, *tokenizer(text, add_special_tokens=False).input_ids]
    candidates = [
        tokenizer(f" {word}", add_special_tokens=False).input_ids for word in words
    ]
    if any(len(candidate) != 1 for candidate in candidates):
        raise ValueError(f"not one token each: {words}")
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, -1]
    return words[int(logits[[c[0] for c in candidates]].argmax())]


def ngram_losses(
    train: NDArray[np.int64], held_out: NDArray[np.int64], n_words: int
) -> tuple[float, float]:
    """Held-out loss of a unigram and a bigram model, in nats a token.

    Both arrays are [n_contexts, context] and counted like the model's own loss: every
    token but a context's first. The bigram is interpolated Kneser-Ney: Chen & Goodman
    1999, "An empirical study of smoothing techniques for language modeling", eq. 19.
    """
    counts = np.zeros((n_words, n_words))
    np.add.at(counts, (train[:, :-1].ravel(), train[:, 1:].ravel()), 1)
    before, after = held_out[:, :-1].ravel(), held_out[:, 1:].ravel()
    # One added to each word: some held-out bytes are in no training story.
    unigram = (counts.sum(0) + 1) / (counts.sum() + n_words)
    kinds = (counts > 0).sum(0) + 1 / n_words
    continuation = kinds / kinds.sum()
    totals = counts.sum(1)
    followers = (counts > 0).sum(1)
    seen = np.maximum(counts[before, after] - DISCOUNT, 0)
    total = np.maximum(totals[before], 1)
    left = np.where(totals[before] > 0, DISCOUNT * followers[before] / total, 1.0)
    bigram = seen / total + left * continuation[after]
    return float(-np.log(unigram[after]).mean()), float(-np.log(bigram).mean())


def eight_gram_share(asked: list[Prompt], seed: int, n_stories: int) -> float:
    """Share of prompts with eight fillers in a row like one of `n_stories` stories."""
    wanted: dict[tuple[str, ...], set[int]] = {}
    for number, prompt in enumerate(asked):
        for gram in _grams(prompt.fillers):
            wanted.setdefault(gram, set()).add(number)
    found: set[int] = set()
    for story in islice(stories(seed), n_stories):
        for gram in _grams(_fillers(story, len(story.text))):
            found |= wanted.get(gram, set())
    return len(found) / len(asked)


def _grams(fillers: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(len(fillers) - N_FILLERS + 1):
        yield fillers[start : start + N_FILLERS]


def samples(model: Any, tokenizer: Any) -> Iterator[str]:
    """Stories the model writes from nothing but the start token."""
    for seed in range(N_SAMPLES):
        torch.manual_seed(seed)
        ids = model.generate(
            torch.tensor([[END_ID]]),
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            max_new_tokens=model.config.max_position_embeddings - 1,
            pad_token_id=END_ID,
        )
        yield tokenizer.decode(ids[0, 1:], skip_special_tokens=True)


def _mean(right: list[bool]) -> float:
    return round(sum(right) / len(right), 4)


if __name__ == "__main__":
    sys.exit(main())
