"""Any model and any text: what our way costs beside the libraries' own.

    python benchmarks/sources.py [--repeats N] [--tokens N]

- load_over_transformers: seconds from a folder to the logits of a first sentence, our
  `load_model` (files checked, hooks verified) over transformers' `from_pretrained` of
  tokenizer and model. Without a sentence nothing would have been loaded: weights are
  mapped, and read from the disk when they are used. The larger of the ratios of the
  embedded model and of random weights in the shape of tiny-stories-1L-21M.
- activations_ratio_*: tokens a second from text to activations, everything included
  (reading or writing the text, tokenizing, packing, the model up to the hook), over
  those of Hugging Face's own model on token ids that lie ready, stopped at the same
  place. `storybook` reads its endless stories; `tinystories` has the shape of
  tiny-stories-1L-21M (d_model 1024, 50,257 tokens, random weights) and reads a .jsonl
  file.

The two of every pair take turns in one process; ratios are of their medians.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

from benchmarks.common import (  # noqa: E402
    in_turns,
    measuring,
    options,
    print_last,
    rounded,
)
from benchmarks.tutorial_shape import random_tutorial_model  # noqa: E402
from tinysae.config import TextChoice  # noqa: E402
from tinysae.data.activations import activation_batches  # noqa: E402
from tinysae.data.corpus import token_chunks  # noqa: E402
from tinysae.data.storybook.generator import stories  # noqa: E402
from tinysae.model.forward import logits  # noqa: E402
from tinysae.model.sources import STORYBOOK, STORYBOOK_DIR, load_model  # noqa: E402

SOURCES = [
    "benchmarks/sources.py",
    "tinysae/model/*.py",
    "tinysae/data/*.py",
    "tinysae/data/texts/*.py",
]
HOOK_NAME = "blocks.0.hook_mlp_out"
# The tutorial's: tokens of a context, contexts of a forward.
CONTEXT_SIZE, CONTEXTS_AT_ONCE = 256, 16
N_STORIES = 20_000
SENTENCE = "Once upon a time, there was a little girl named Lily."


class Reached(Exception):
    """The bare forward has come to the hook."""


def bare_forward(folder: Path) -> Callable[[torch.Tensor], None]:
    """Hugging Face's model as it comes, up to what the first MLP writes."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()

    def stop(*_: object) -> None:
        raise Reached

    model.transformer.h[0].mlp.register_forward_hook(stop)

    def forward(tokens: torch.Tensor) -> None:
        with torch.inference_mode():
            try:
                model(tokens, use_cache=False)
            except Reached:
                return
        raise RuntimeError("the hook was passed")

    return forward


def rates(
    source: str, folder: Path, text: TextChoice, n_tokens: int, repeats: int
) -> tuple[float, float]:
    """Tokens a second of the pipeline and of the bare forward."""
    model, bare = load_model(source), bare_forward(folder)
    batch = CONTEXTS_AT_ONCE * CONTEXT_SIZE
    n = max(1, n_tokens // batch)
    ready = token_chunks(model, text, CONTEXT_SIZE, seed=0)
    rows = np.stack(list(islice(ready, n * CONTEXTS_AT_ONCE)))
    tokens = torch.from_numpy(rows).long().split(CONTEXTS_AT_ONCE)

    # New text each time, so that nothing is known from before.
    seeds = count()

    def ours() -> None:
        contexts = token_chunks(model, text, CONTEXT_SIZE, seed=next(seeds))
        read = activation_batches(model, contexts, HOOK_NAME, CONTEXTS_AT_ONCE)
        for _ in islice(read, n):
            pass

    def theirs() -> None:
        for part in tokens:
            bare(part)

    mine, its = in_turns([ours, theirs], repeats)
    return n * batch / mine.wall, n * batch / its.wall


def write_stories(path: Path) -> TextChoice:
    """The first stories of the storybook as a .jsonl file."""
    with path.open("w", encoding="utf-8") as file:
        for story in islice(stories(0), N_STORIES):
            file.write(json.dumps({"text": story.text}) + "\n")
    return TextChoice(str(path))


def load_ratio(name: str, source: str, folder: Path, repeats: int) -> float:
    """Our seconds over transformers', from the folder to a sentence's logits."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def ours() -> None:
        model = load_model(source)
        logits(model, model.to_input(model.encode(SENTENCE)))

    def theirs() -> None:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForCausalLM.from_pretrained(folder)
        with torch.inference_mode():
            model(**tokenizer(SENTENCE, return_tensors="pt"))

    mine, its = (took.wall for took in in_turns([ours, theirs], repeats))
    print(f"{name:14}{mine:>9.3f} s{its:>13.3f} s{mine / its:>8.2f}", flush=True)
    return mine / its


def measured(repeats: int, tokens: int) -> dict[str, float]:
    """The figures of the module's docstring; prints both tables."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        tiny = random_tutorial_model(home / "tinystories")
        models = (
            ("storybook", STORYBOOK, STORYBOOK_DIR, TextChoice(STORYBOOK), 8),
            ("tinystories", str(tiny), tiny, write_stories(home / "stories.jsonl"), 1),
        )
        print(f"{'model':14}{'load, ours':>11}{'transformers':>15}{'ratio':>8}")
        figures["load_over_transformers"] = max(
            load_ratio(name, source, folder, repeats)
            for name, source, folder, *_ in models
        )
        print(
            f"{'model':14}{'text to activations':>22}{'bare forward':>16}{'ratio':>8}"
        )
        for name, source, folder, text, times in models:
            ours, theirs = rates(source, folder, text, times * tokens, repeats)
            figures[f"activations_ratio_{name}"] = ours / theirs
            print(
                f"{name:14}{ours:>16,.0f} tok/s"
                f"{theirs:>10,.0f} tok/s{ours / theirs:>8.2f}",
                flush=True,
            )
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="What our way costs beside others'.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1 << 13)
    asked, variant = options(parser)
    with measuring("sources", SOURCES, variant=variant) as figures:
        figures |= rounded(measured(asked.repeats, asked.tokens))
    print_last(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
