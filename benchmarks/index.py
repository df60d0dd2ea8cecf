"""The index of every feature: how fast, how exact, how quick to read.

    python benchmarks/index.py [--peer PYTHON] [--sae DIRECTORY]

The SAE is a BatchTopK of 256 x 4096, L0 about 30, trained here for 400k tokens on the
embedded model (it is saved as JumpReLU); the text is stories. Figures:

- share_of_gemm: the time of the encoder's product alone, in the tiles and threads that
  the index uses, over that of the whole index of a million tokens without the model's
  forward and the UMAP (activations are handed over ready-made; statistics, co-firing,
  logits, neighbours and files are in it). In turns, medians, CPU time of all threads,
  since other processes only add to wall time, which is printed beside it;
- max_act_error: the worst relative difference of a feature's maximum to a dense float64
  reference on the same activations; density_error: the worst of a density, where pairs
  within 1e-5 of the threshold, relative, are ties that rounding decides: a density
  error is what they cannot explain;
- million_tokens_s, peak_memory_mb: a fresh process that indexes a million tokens, model
  and UMAP (its import included) in it;
- open_feature_ms: the slowest of 200 random features; search_ms: the slowest of 200
  random tokens in both tables, and of some prompts.

The figures of `benchmarks/dashboard_peer.py` and `benchmarks/concepts.py` are joined to
these.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

from benchmarks import concepts, dashboard_peer  # noqa: E402
from benchmarks.common import (  # noqa: E402
    N_CORES,
    in_turns,
    measuring,
    options,
    print_last,
    rounded,
    timed,
)
from benchmarks.index_of import CONTEXT_SIZE, TEXT_SEED, text, trained_sae  # noqa: E402
from tinysae.config import TextChoice  # noqa: E402
from tinysae.data.corpus import token_chunks  # noqa: E402
from tinysae.features.index.build import (  # noqa: E402
    FeatureIndex,
    build_index,
    open_index,
)
from tinysae.features.index.search import by_text  # noqa: E402
from tinysae.jobs.memory import peak_memory_bytes  # noqa: E402
from tinysae.model.blas import PRODUCTS, one_thread  # noqa: E402
from tinysae.model.forward import activations  # noqa: E402
from tinysae.model.sources import (  # noqa: E402
    LoadedModel,
    load_model,
)
from tinysae.sae import encode  # noqa: E402
from tinysae.sae.load import SAE, load_sae  # noqa: E402

SOURCES = [
    "benchmarks/index.py",
    "tinysae/features/index/*.py",
    "tinysae/sae/encode.py",
    "tinysae/model/blas.py",
]
MILLION = 1 << 20
REFERENCE_TOKENS = 1 << 16
REPEATS = 5
N_ASKED = 200
TIE = 1e-5
PROMPTS = (
    "Once upon a time, there was a little girl named Lily.",
    "Tom was sad because he could not find his red ball.",
)


class ReadyMade:
    """Stands in for the model's forward: activations that are there already."""

    def __init__(self, model: LoadedModel, sae: SAE, chunks: np.ndarray) -> None:
        tokens = torch.from_numpy(chunks).long()
        parts = [activations(model, some, sae.hook_name) for some in tokens.split(64)]
        self.x, self._at = torch.cat(parts), 0

    def __call__(self, _model: Any, tokens: torch.Tensor, _hook: str) -> torch.Tensor:
        """The next contexts'; a single one is the builder's look at the first."""
        if len(tokens) == 1:
            return self.x[:1]
        at = self._at
        self._at = (at + len(tokens)) % len(self.x)
        return self.x[at : at + len(tokens)]


def share_of_gemm(
    model: LoadedModel, sae: SAE, chunks: np.ndarray, folder: Path
) -> float:
    ready = ReadyMade(model, sae, chunks)
    flat = ready.x.flatten(0, 1).numpy()

    def index() -> None:
        with mock.patch("tinysae.model.forward.activations", ready):
            build_index(sae, model, chunks, folder, n_tokens=chunks.size, layout="pca")

    W = np.ascontiguousarray(sae.W_enc.T.numpy())
    with encode.Encoder(sae) as encoder:
        product = PRODUCTS[encoder.product_name]
        tiles = [
            (t, j)
            for t in range(0, len(flat), encode.TOKENS)
            for j in range(0, len(W), encode.FEATURES)
        ]

        def tile(at: tuple[int, int]) -> None:
            t, j = at
            product(W[j : j + encode.FEATURES], flat[t : t + encode.TOKENS])

        def gemm() -> None:
            with one_thread():
                list(encoder.pool.map(tile, tiles))

        took = in_turns([gemm, index], REPEATS)
    for clock in ("wall", "cpu"):
        alone, whole = (getattr(its, clock) for its in took)
        print(
            f"index of {chunks.size:,} tokens, no forward: {whole:.2f} s {clock}, "
            f"encoder's product {alone:.2f} s ({alone / whole:.3f}); "
            f"{chunks.size / whole:,.0f} tokens/s, "
            f"{chunks.size * sae.d_sae / whole / 1e6:,.0f}M token-features/s",
            flush=True,
        )
    return took[0].cpu / took[1].cpu


def errors(model: LoadedModel, sae: SAE, folder: Path) -> tuple[float, float]:
    """max_act_error and density_error (see above)."""
    chunks = text(model, REFERENCE_TOKENS)
    index = build_index(sae, model, chunks, folder, n_tokens=chunks.size, layout="pca")
    assert sae.threshold is not None
    exact = dataclasses.replace(
        sae, **{n: getattr(sae, n).double() for n in ("W_enc", "b_enc", "W_dec")}
    )
    largest = torch.zeros(sae.d_sae, dtype=torch.float64)
    counts = torch.zeros(3, sae.d_sae, dtype=torch.int64)
    shifts = (1 + TIE, 1, 1 - TIE)
    for some in torch.from_numpy(chunks).long().split(32):
        x = activations(model, some, sae.hook_name).double()
        x = x[some != model.bos_id]
        for row, shift in enumerate(shifts):
            moved = dataclasses.replace(exact, threshold=sae.threshold.double() * shift)
            acts = moved.encode(x)
            counts[row] += (acts > 0).sum(0)
            if row == 1:
                largest = torch.maximum(largest, acts.amax(0))
    table = index.table()
    n_fired = torch.from_numpy(table["n_fired"].to_numpy(copy=True))
    sure, _, possible = counts
    unexplained = torch.maximum(sure - n_fired, n_fired - possible).clamp(min=0)
    alive = sure > 0
    ours = torch.from_numpy(table["max_act"].to_numpy(copy=True)).double()
    gap = ((ours - largest).abs() / largest)[alive].max().item()
    print(
        f"{index.info.n_tokens:,} tokens: {int(n_fired.sum()):,} activations, of which "
        f"{int((possible - sure).sum())} lie within {TIE:g} of the threshold and "
        f"{int((n_fired - counts[1]).abs().sum())} are decided otherwise than in "
        f"float64; L0 {int(n_fired.sum()) / index.info.n_tokens:.1f}",
        flush=True,
    )
    return gap, unexplained.max().item() / index.info.n_tokens


def million(sae_dir: str, folder: str) -> None:
    """In a process of its own: prints seconds and megabytes."""
    model = load_model("storybook")
    sae = load_sae(Path(sae_dir))
    chunks = token_chunks(
        model, TextChoice("storybook"), CONTEXT_SIZE, seed=TEXT_SEED, held_out=True
    )
    out = Path(folder) / "million"
    took = timed(lambda: build_index(sae, model, chunks, out, n_tokens=MILLION))
    print(json.dumps([took.wall, peak_memory_bytes() / 2**20]))


def in_own_process(sae_dir: Path, folder: Path) -> tuple[float, float]:
    command = [sys.executable, __file__, "--million", str(sae_dir), str(folder)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    took, peak = json.loads(found.stdout.splitlines()[-1])
    print(f"{MILLION:,} tokens, model and map included: {took:.1f} s, {peak:.0f} MB")
    return took, peak


def slowest_ms(ask: Callable[[int], Any], questions: list[int]) -> float:
    times = [timed(partial(ask, question)).wall for question in questions]
    print(f"  median {median(times) * 1e3:.1f} ms, slowest {max(times) * 1e3:.1f} ms")
    return max(times) * 1e3


def asked(index: FeatureIndex, model: LoadedModel, sae: SAE) -> tuple[float, float]:
    """open_feature_ms and search_ms."""
    rng = np.random.default_rng(0)
    features = rng.integers(0, index.info.d_sae, N_ASKED).tolist()
    tokens = rng.integers(0, index.info.d_vocab, N_ASKED).tolist()
    index.feature(0)
    print(f"{N_ASKED} random features opened")
    opening = slowest_ms(index.feature, features)
    print(f"{N_ASKED} random tokens looked up in both tables")

    def look_up(token: int) -> None:
        index.raised_by(token)
        index.firing_on(token)

    searching = slowest_ms(look_up, tokens)

    def by_prompt(number: int) -> None:
        by_text(sae, model, PROMPTS[number])

    print(f"{len(PROMPTS)} prompts searched, ten times each")
    by_prompt(0)
    questions = list(range(len(PROMPTS))) * 10
    return opening, max(searching, slowest_ms(by_prompt, questions))


def measured(model: LoadedModel, sae_dir: Path, folder: Path) -> dict[str, float]:
    """The figures of the module's docstring."""
    sae = load_sae(sae_dir)
    figures: dict[str, float] = {}
    gap, unexplained = errors(model, sae, folder / "reference")
    figures |= {"max_act_error": gap, "density_error": unexplained}
    figures["share_of_gemm"] = share_of_gemm(
        model, sae, text(model, MILLION), folder / "timed"
    )
    took, peak = in_own_process(sae_dir, folder)
    figures |= {"million_tokens_s": took, "peak_memory_mb": peak}
    opening, searching = asked(open_index(folder / "million"), model, sae)
    figures |= {"open_feature_ms": opening, "search_ms": searching}
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="The index of every feature.")
    parser.add_argument("--peer", type=Path, help="a Python that has SAEDashboard")
    parser.add_argument("--sae", type=Path, help="a JumpReLU to take, not trained here")
    parser.add_argument("--million", nargs=2, help=argparse.SUPPRESS)
    chosen, variant = options(parser, free=["peer"])
    if chosen.million:
        million(*chosen.million)
        return 0
    torch.set_num_threads(N_CORES)
    model = load_model("storybook")
    with tempfile.TemporaryDirectory(prefix="tinysae-") as name:
        folder = Path(name)
        sae_dir = chosen.sae or trained_sae(model, folder / "sae")
        with measuring("index", SOURCES, seed=TEXT_SEED, variant=variant) as figures:
            figures |= rounded(measured(model, sae_dir, folder))
        peer = dashboard_peer.measured(model, sae_dir, folder, chosen.peer)
    print_last(figures | peer | concepts.measured())
    return 0


if __name__ == "__main__":
    sys.exit(main())
