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
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

from tests.hub.repos import tutorial_model  # noqa: E402
from tinysae.config import TextChoice  # noqa: E402
from tinysae.data.activations import activation_batches  # noqa: E402
from tinysae.data.corpus import token_chunks  # noqa: E402
from tinysae.data.storybook import stories  # noqa: E402
from tinysae.model.forward import logits  # noqa: E402
from tinysae.model.sources import STORYBOOK, STORYBOOK_DIR, load_model  # noqa: E402

HOOK_NAME = "blocks.0.hook_mlp_out"
# The tutorial's: tokens of a context, contexts of a forward.
CONTEXT_SIZE, CONTEXTS_AT_ONCE = 256, 16
N_STORIES = 20_000
SENTENCE = "Once upon a time, there was a little girl named Lily."
HIDDEN_SIZE, N_HEADS = 1024, 16


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
) -> tuple[list[float], list[float]]:
    """Tokens a second of the pipeline and of the bare forward, in turns."""
    model, bare = load_model(source), bare_forward(folder)
    batch = CONTEXTS_AT_ONCE * CONTEXT_SIZE
    n = max(1, n_tokens // batch)
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(repeats + 1):
        started = time.perf_counter()
        contexts = token_chunks(model, text, CONTEXT_SIZE, seed=turn)
        read = activation_batches(model, contexts, HOOK_NAME, CONTEXTS_AT_ONCE)
        for _ in islice(read, n):
            pass
        middle = time.perf_counter()
        ready = token_chunks(model, text, CONTEXT_SIZE, seed=turn)
        rows = np.stack(list(islice(ready, n * CONTEXTS_AT_ONCE)))
        tokens = torch.from_numpy(rows).long().split(CONTEXTS_AT_ONCE)
        begun = time.perf_counter()
        for part in tokens:
            bare(part)
        ended = time.perf_counter()
        # The first turn of each warms up.
        if turn:
            ours.append(n * batch / (middle - started))
            theirs.append(n * batch / (ended - begun))
    return ours, theirs


def write_stories(path: Path) -> TextChoice:
    """The first stories of the storybook as a .jsonl file."""
    with path.open("w", encoding="utf-8") as file:
        for story in islice(stories(0), N_STORIES):
            file.write(json.dumps({"text": story.text}) + "\n")
    return TextChoice(str(path))


def safe(folder: Path) -> Path:
    """The folder with its weights in safetensors, which is all that we load."""
    from safetensors.torch import save_file

    pickle = folder / "pytorch_model.bin"
    weights = torch.load(pickle, weights_only=True)
    weights.pop("lm_head.weight", None)
    kept = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    for file in folder.glob("*.bin"):
        file.unlink()
    return folder


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

    took: list[list[float]] = [[], []]
    for turn in range(repeats + 1):
        for work, seconds in zip((ours, theirs), took, strict=True):
            started = time.perf_counter()
            work()
            # The first turn of each warms up.
            if turn:
                seconds.append(time.perf_counter() - started)
    mine, its = map(median, took)
    print(f"{name:14}{mine:>9.3f} s{its:>13.3f} s{mine / its:>8.2f}", flush=True)
    return mine / its


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1 << 13)
    options = parser.parse_args()
    repeats = options.repeats
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        (home / "tinystories").mkdir()
        tiny = safe(
            tutorial_model(
                home / "tinystories", hidden_size=HIDDEN_SIZE, num_heads=N_HEADS
            )
        )
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
            n_tokens = times * options.tokens
            ours, theirs = rates(source, folder, text, n_tokens, repeats)
            ratio = median(ours) / median(theirs)
            figures[f"activations_ratio_{name}"] = ratio
            print(
                f"{name:14}{median(ours):>16,.0f} tok/s"
                f"{median(theirs):>10,.0f} tok/s{ratio:>8.2f}",
                flush=True,
            )
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
