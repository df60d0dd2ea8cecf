"""Loading a model, and reading text with it, beside the libraries' own ways.

`load_over_transformers`: our `load_model` (checks, both models, hooks verified) over
transformers' `from_pretrained` of model and tokenizer, alternating in one process; the
larger of the ratios for the embedded model and for random weights in the shape of
tiny-stories-1L-21M.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The tutorial's model: 66 million parameters.
TUTORIAL_WIDTH, TUTORIAL_HEADS = 1024, 16


def main() -> None:
    """Prints a table and one last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="of every loading")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = loading(Path(scratch), options.repeats)
    print(json.dumps(figures))


def loading(scratch: Path, repeats: int) -> dict[str, float]:
    """Loads both models in turn, ours and transformers' way."""
    from tinysae.model.sources import STORYBOOK_DIR, load_model

    models = {"storybook": STORYBOOK_DIR, "tiny-stories-1L-21M": tutorial(scratch)}
    ratios = []
    for name, folder in models.items():
        ours, theirs = timed_in_turn(
            repeats, lambda f=folder: load_model(str(f)), lambda f=folder: plain(f)
        )
        ratios.append(ours / theirs)
        print(f"{name:<20} ours {ours:.3f} s  transformers {theirs:.3f} s  "
              f"ratio {ours / theirs:.2f}")  # fmt: skip
    return {"load_over_transformers": round(max(ratios), 3)}


def plain(folder: Path) -> Any:
    """What transformers does with a folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    return tokenizer, model


def tutorial(scratch: Path) -> Path:
    """Random weights in the shape of tiny-stories-1L-21M, as safetensors."""
    import torch
    from safetensors.torch import save_file

    from tests.hub.repos import tutorial_model

    folder = scratch / "tutorial"
    folder.mkdir()
    tutorial_model(folder, hidden_size=TUTORIAL_WIDTH, num_heads=TUTORIAL_HEADS)
    pickle = folder / "pytorch_model.bin"
    weights = torch.load(pickle, weights_only=True)
    # The unembedding is the embedding; masks are made anew.
    kept = {n: w.clone() for n, w in weights.items() if "bias" not in n.split(".")[-1]
            or w.ndim == 1}  # fmt: skip
    kept.pop("lm_head.weight", None)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    pickle.unlink()
    return folder


def timed_in_turn(repeats: int, *works: Callable[[], Any]) -> list[float]:
    """The median seconds of each, one after the other so that both meet every mood of
    the machine; the first round only warms up."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(repeats + 1):
        for work, seconds in zip(works, times, strict=True):
            begun = time.perf_counter()
            work()
            if turn:
                seconds.append(time.perf_counter() - begun)
    return [statistics.median(seconds) for seconds in times]


if __name__ == "__main__":
    main()
