"""The index of every feature: how fast, how exact, how quick to read.

    python benchmarks/index.py [--peer PYTHON] [--sae DIRECTORY]

The SAE is a BatchTopK of 256 x 4096, L0 about 30, trained here for 400k tokens on the
embedded model (it is saved as JumpReLU); the text is stories. Figures:

- share_of_gemm: the time of the encoder's product alone, in the tiles and threads that
  the index uses, over that of the whole index of a million tokens without the model's
  forward and the UMAP (activations are handed over ready-made; statistics, co-firing,
  logits, neighbours and files are in it). In turns, medians, CPU time of all threads,
  since other processes only add to wall time, which is printed beside it;
- vs_sae_dashboard: (tokens x features)/s of `build_index`, model in it, over
  SAEDashboard 0.8.0's on the same SAE and 32,768 tokens, wall time, in turns, from the
  loaded model and SAE to files that can be opened: our index, its page. Imports and a
  first call are on neither side. (The ratio on four times the text stands beside it,
  and is lower.) The dashboard reads 128 features in one minibatch, as its Neuronpedia
  runner does by default; it has an environment of its own, made from
  peers/dashboard.txt. What it does besides: correlations with the model's neurons and
  among the features that it reads, quantiles, and a page that needs no server. What it
  does not: tables by token, co-firing, neighbours by cosine, a map;
- max_act_error: the worst relative difference of a feature's maximum to a dense float64
  reference on the same activations; density_error: the worst of a density, where pairs
  within 1e-5 of the threshold, relative, are ties that rounding decides: a density
  error is what they cannot explain;
- million_tokens_s, peak_memory_mb: a fresh process that indexes a million tokens, model
  and UMAP (its import included) in it;
- open_feature_ms: the slowest of 200 random features; search_ms: the slowest of 200
  random tokens in both tables, and of some prompts if there is a search by prompt.

Concepts are measured by benchmarks/concepts.py, whose figures are joined to these.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

from tinysae.config import TextChoice  # noqa: E402
from tinysae.data.corpus import token_chunks  # noqa: E402
from tinysae.embedded.build import shipped_config  # noqa: E402
from tinysae.features.index.build import FeatureIndex, build_index  # noqa: E402
from tinysae.jobs.memory import peak_memory_bytes  # noqa: E402
from tinysae.model.blas import PRODUCTS, one_thread  # noqa: E402
from tinysae.model.forward import activations  # noqa: E402
from tinysae.model.sources import (  # noqa: E402
    STORYBOOK_DIR,
    LoadedModel,
    load_model,
)
from tinysae.sae import encode  # noqa: E402
from tinysae.sae.load import SAE, load_sae  # noqa: E402
from tinysae.sae.train import SAETraining  # noqa: E402

D_SAE, L0, TRAINING_TOKENS = 4096, 30.0, 400_000
CONTEXT_SIZE = 128
MILLION = 1 << 20
# A short text and one four times as long. The first is what the figure is of.
PEER_TOKENS, PEER_FEATURES = (1 << 15, 1 << 17), 128
REFERENCE_TOKENS = 1 << 16
REPEATS, PEER_REPEATS = 5, 2
N_ASKED = 200
TIE = 1e-5
PROMPTS = (
    "Once upon a time, there was a little girl named Lily.",
    "Tom was sad because he could not find his red ball.",
)
PEERS = Path(__file__).parent / "peers"


def text(model: LoadedModel, n_tokens: int) -> np.ndarray:
    """Contexts [n, CONTEXT_SIZE] of held-out stories."""
    chunks = token_chunks(
        model, TextChoice("storybook"), CONTEXT_SIZE, seed=7, held_out=True
    )
    return np.stack(list(islice(chunks, n_tokens // CONTEXT_SIZE)))


def trained_sae(model: LoadedModel, folder: Path) -> Path:
    """An SAELens directory of an SAE of the size that is asked for."""
    config = shipped_config(tokens=TRAINING_TOKENS, d_sae=D_SAE, k=L0)
    training = SAETraining(config, model)
    training.estimate_norm(lambda _: True)
    training.run(lambda _step, _row: True)
    training.save(folder)
    return folder


def in_turns(
    one: Callable[[], None], two: Callable[[], None], repeats: int
) -> dict[str, tuple[float, float]]:
    """Median CPU and wall times of both, after a call each that is not counted."""
    times: list[list[tuple[float, float]]] = [[], []]
    for turn in range(repeats + 1):
        for work, its in zip((one, two), times, strict=True):
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            took = time.process_time() - cpu, time.perf_counter() - wall
            if turn:
                its.append(took)
    return {
        clock: (median(t[i] for t in times[0]), median(t[i] for t in times[1]))
        for i, clock in enumerate(("cpu", "wall"))
    }


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

        took = in_turns(gemm, index, REPEATS)
    for clock, (alone, whole) in took.items():
        print(
            f"index of {chunks.size:,} tokens, no forward: {whole:.2f} s {clock}, "
            f"encoder's product {alone:.2f} s ({alone / whole:.3f}); "
            f"{chunks.size / whole:,.0f} tokens/s, "
            f"{chunks.size * sae.d_sae / whole / 1e6:,.0f}M token-features/s",
            flush=True,
        )
    return took["cpu"][0] / took["cpu"][1]


def peer_python(folder: Path) -> Path:
    """An environment with SAEDashboard, made from the lock file."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "-r", PEERS / "dashboard.txt"], check=True)
    return python


def against_the_peer(
    python: Path, model: LoadedModel, sae_dir: Path, folder: Path, n_tokens: int
) -> float:
    """Our token-features a second over SAEDashboard's.

    Most of SAEDashboard's time is a feature's page, whatever the text, so that the
    ratio falls as the text grows. It draws no map, and neither do we here.
    """
    chunks, sae = text(model, n_tokens), load_sae(sae_dir)
    np.save(folder / "tokens.npy", chunks)
    arguments = [STORYBOOK_DIR, sae_dir, folder / "tokens.npy", PEER_FEATURES, 1]
    command = [python, PEERS / "dashboard.py", *arguments]
    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    env.pop("PYTHONPATH", None)
    ours, theirs = [], []
    answer: dict[str, Any] = {}

    def our_turn() -> FeatureIndex:
        out = folder / "peer"
        return build_index(sae, model, chunks, out, n_tokens=n_tokens, layout="pca")

    index = our_turn()
    for _ in range(PEER_REPEATS):
        found = subprocess.run(
            [*map(str, command)], check=True, capture_output=True, text=True, env=env
        )
        answer = json.loads(found.stdout.splitlines()[-1])
        theirs += answer["seconds"]
        started = time.perf_counter()
        index = our_turn()
        ours.append(time.perf_counter() - started)
    # Both saw the same: it keeps BOS, whose features we do not count.
    largest = index.table()["max_act"][:PEER_FEATURES]
    agree = np.isclose(largest, np.array(answer["max"]), rtol=1e-3, atol=1e-3).mean()
    rate = chunks.size * sae.d_sae / median(ours)
    peer_rate = chunks.size * PEER_FEATURES / median(theirs)
    print(
        f"{chunks.size:,} tokens: all {sae.d_sae} features in {median(ours):.2f} s, "
        f"SAEDashboard {PEER_FEATURES} features in {median(theirs):.2f} s: "
        f"{rate / 1e6:.1f}M against {peer_rate / 1e6:.3f}M token-features/s; "
        f"{agree:.1%} of the maxima are the same",
        flush=True,
    )
    return rate / peer_rate


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
        model, TextChoice("storybook"), CONTEXT_SIZE, seed=7, held_out=True
    )
    started = time.perf_counter()
    build_index(sae, model, chunks, Path(folder) / "million", n_tokens=MILLION)
    took = time.perf_counter() - started
    print(json.dumps([took, peak_memory_bytes() / 2**20]))


def in_own_process(sae_dir: Path, folder: Path) -> tuple[float, float]:
    command = [sys.executable, __file__, "--million", str(sae_dir), str(folder)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    took, peak = json.loads(found.stdout.splitlines()[-1])
    print(f"{MILLION:,} tokens, model and map included: {took:.1f} s, {peak:.0f} MB")
    return took, peak


def slowest_ms(ask: Callable[[int], Any], questions: list[int]) -> float:
    times = []
    for question in questions:
        started = time.perf_counter()
        ask(question)
        times.append(time.perf_counter() - started)
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
    by_prompt = search_by_prompt(model, sae)
    if by_prompt is not None:
        print(f"{len(PROMPTS)} prompts searched, ten times each")
        by_prompt(0)
        questions = list(range(len(PROMPTS))) * 10
        searching = max(searching, slowest_ms(by_prompt, questions))
    return opening, searching


def search_by_prompt(model: LoadedModel, sae: SAE) -> Callable[[int], Any] | None:
    """Asks for the number of a prompt; None where there is no such search."""
    try:
        search = import_module("tinysae.features.index.search")
    except ImportError:
        return None
    return lambda number: search.by_text(sae, model, PROMPTS[number])


def concepts() -> dict[str, float]:
    """The figures of benchmarks/concepts.py, where there is one."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        return import_module("concepts").figures()
    except ModuleNotFoundError as problem:
        if problem.name != "concepts":
            raise
        print("no benchmarks/concepts.py: its figures are missing")
        return {}


def main(folder: Path, python: Path | None, sae_dir: Path | None) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    print(f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores at the start")
    model = load_model("storybook")
    sae_dir = sae_dir or trained_sae(model, folder / "sae")
    sae = load_sae(sae_dir)
    figures: dict[str, float] = {}
    gap, unexplained = errors(model, sae, folder / "reference")
    figures |= {"max_act_error": gap, "density_error": unexplained}
    figures["share_of_gemm"] = share_of_gemm(
        model, sae, text(model, MILLION), folder / "timed"
    )
    took, peak = in_own_process(sae_dir, folder)
    figures |= {"million_tokens_s": took, "peak_memory_mb": peak}
    from tinysae.features.index.reader import open_index

    index = open_index(folder / "million")
    opening, searching = asked(index, model, sae)
    figures |= {"open_feature_ms": opening, "search_ms": searching}
    python = python or peer_python(folder / "venv")
    ratios = [against_the_peer(python, model, sae_dir, folder, n) for n in PEER_TOKENS]
    figures["vs_sae_dashboard"] = ratios[0]
    figures |= concepts()
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    print(json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path, help="a Python that has SAEDashboard")
    parser.add_argument("--sae", type=Path, help="a JumpReLU to take, not trained here")
    parser.add_argument("--million", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.million:
        million(*arguments.million)
    else:
        with tempfile.TemporaryDirectory(prefix="tinysae-") as work:
            main(Path(work), arguments.peer, arguments.sae)
