"""The index's loops against numpy and plain Python; its shards."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.index_kernels_in_numpy import stand_in
from tinysae.features.index import kernels
from tinysae.features.index.neighbours import Neighbours, layout
from tinysae.features.index.pair_store import Band
from tinysae.features.index.statistics import (
    N_BINS,
    N_GROUPS,
    Corpus,
    FiringFeatures,
    Sampling,
    band_statistics,
)

CONTEXT_SIZE, N_POSITIONS, D_VOCAB = 8, 400, 30


@pytest.fixture(params=["compiled", "numpy"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of them: what numpy computes must not be wrong either."""
    if request.param == "numpy":
        stand_in(monkeypatch)


BOTH = pytest.mark.usefixtures("loops")


def random_band(seed: int = 0, n_features: int = 6) -> Band:
    """Feature 0 is dead; values have few digits, so that some are equal."""
    rng = np.random.default_rng(seed)
    positions = [
        np.flatnonzero(rng.random(N_POSITIONS) < (0.3 * j / n_features))
        for j in range(n_features)
    ]
    first = np.cumsum([0, *map(len, positions)])
    value = np.exp2(rng.uniform(-3, 3, first[-1])).round(1) + np.float32(0.1)
    position = np.concatenate(positions).astype(np.int32)
    return Band(4, first, position, value.astype(np.float32))


def random_corpus() -> Corpus:
    tokens = np.random.default_rng(1).integers(0, D_VOCAB, N_POSITIONS)
    counts = np.bincount(tokens, minlength=D_VOCAB)
    return Corpus(tokens.astype(np.int32), counts, CONTEXT_SIZE)


@BOTH
def test_strongest_contexts_as_in_plain_python() -> None:
    band = random_band()
    found = band_statistics(band, random_corpus(), Sampling(7, 2, 3, 0))
    for j in range(6):
        own = range(band.first[j], band.first[j + 1])
        by_context: dict[int, list[int]] = defaultdict(list)
        for p in own:
            by_context[band.position[p] // CONTEXT_SIZE].append(p)
        # Of equals the earlier position, the earlier context.
        peaks = [max(ps, key=lambda p: band.value[p]) for ps in by_context.values()]
        peaks.sort(key=lambda p: -band.value[p])
        expected = [divmod(int(band.position[p]), CONTEXT_SIZE) for p in peaks[:7]]
        chunk, position = found.contexts.chunk[j, :7], found.contexts.position[j, :7]
        shown = [
            c for c in zip(chunk.tolist(), position.tolist(), strict=True) if c[0] >= 0
        ]
        assert shown == expected


@BOTH
def test_every_activation_of_a_kept_context_is_kept() -> None:
    band = random_band()
    contexts = band_statistics(band, random_corpus(), Sampling(7, 2, 3, 0)).contexts
    ends = np.cumsum(contexts.n_active).reshape(contexts.n_active.shape)
    for j, rank in np.argwhere(contexts.chunk >= 0):
        end = ends[j, rank]
        here = slice(end - contexts.n_active[j, rank], end)
        own = slice(band.first[j], band.first[j + 1])
        inside = band.position[own] // CONTEXT_SIZE == contexts.chunk[j, rank]
        expected = band.position[own][inside] % CONTEXT_SIZE
        assert contexts.active_position[here].tolist() == expected.tolist()
        assert contexts.active_value[here].tolist() == band.value[own][inside].tolist()


@BOTH
def test_histograms_stay_exact_over_sixty_octaves() -> None:
    rng = np.random.default_rng(0)
    values = np.exp2(rng.uniform(-30, 30, 4000)).astype(np.float32)
    position = np.sort(rng.permutation(N_POSITIONS * 100)[:4000]).astype(np.int32)
    corpus = Corpus(np.zeros(N_POSITIONS * 100, np.int32), np.array([40000]), 8)
    band = Band(0, np.array([0, 1000, 1000, 4000]), position, values)
    totals = band_statistics(band, corpus, Sampling(2, 2, 3, 0)).totals
    assert totals.bin_width[1] == 0
    for j in (0, 2):
        own = values[band.first[j] : band.first[j + 1]]
        edges = np.arange(N_BINS + 1) * totals.bin_width[j]
        assert totals.bin_counts[j].tolist() == np.histogram(own, edges)[0].tolist()
        assert own.max() < edges[-1] <= 2 * own.max() * (1 + 1 / 32)


def test_what_is_drawn_is_drawn_uniformly() -> None:
    # A feature that fires on 40 tokens, all in one group, over 4,000 features.
    n, n_drawn = 40, 4
    first = np.arange(0, 4000 * n + 1, n)
    position = np.tile(np.arange(n, dtype=np.int32) * 3, 4000)
    value = np.ones(len(position), np.float32)
    counts = np.zeros((4000, N_BINS), np.int64)
    sample = np.full((4000, N_GROUPS, n_drawn), -1, np.int64)
    width = np.full(4000, 63.0)
    kernels.binned(first, position, value, width, 0, np.uint64(3), counts, sample)
    drawn = np.bincount(sample[:, -1].ravel() % n, minlength=n)
    assert (sample[:, :-1] == -1).all()
    assert drawn.sum() == 4000 * n_drawn
    # Chi-squared with 39 degrees of freedom: 73 is p = 0.001, and the seed is fixed.
    expected = 4000 * n_drawn / n
    assert ((drawn - expected) ** 2 / expected).sum() < 73


def test_both_loops_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus, sampling = random_corpus(), Sampling(5, 3, 6, 11)
    ours = FiringFeatures(D_VOCAB, 9)
    other = FiringFeatures(D_VOCAB, 9)
    for seed in (0, 1):
        band = random_band(seed)._replace(begin=6 * seed)
        one = band_statistics(band, corpus, sampling)
        ours.add(one)
        with monkeypatch.context() as patch:
            stand_in(patch)
            two = band_statistics(band, corpus, sampling)
            other.add(two)
        for part in ("totals", "by_mass", "by_precision", "contexts"):
            pairs = zip(getattr(one, part), getattr(two, part), strict=True)
            for mine, theirs in pairs:
                np.testing.assert_array_equal(mine, theirs, err_msg=part)
    assert (ours.feature >= 6).any()
    assert (ours.feature < 0).any()
    for name in ("feature", "mass", "n_fired"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(other, name))


@BOTH
def test_pairs_on_tokens_that_are_not_read_are_left_out() -> None:
    is_read = np.array([True, False, True, True])
    first = np.array([0, 3, 3, 5])
    token = np.array([0, 1, 3, 1, 2], np.int32)
    value = np.arange(5, dtype=np.float32)
    counts = np.zeros(3, np.int64)
    kernels.count_read(first, token, is_read, counts)
    assert counts.tolist() == [2, 0, 1]
    at, tokens = np.array([0, 2, 2]), np.empty(3, np.uint16)
    values = np.empty(3, np.float32)
    kernels.place_read(first, token, value, is_read, at, tokens, values)
    assert tokens.tolist() == [0, 3, 2]
    assert values.tolist() == [0, 2, 4]
    assert at.tolist() == [2, 2, 3]


@BOTH
def test_a_histogram_of_rows_is_numpys() -> None:
    rows = np.random.default_rng(0).standard_normal((5, 700), dtype=np.float32)
    rows[0] = np.arange(700) % 7
    edges = np.linspace(rows.min(1), rows.max(1), 51, axis=-1).astype(np.float64)
    edges = np.linspace(edges[:, 0], edges[:, -1], 51, axis=-1)
    counts = np.zeros((5, 50), np.int32)
    kernels.row_histograms(rows, edges, counts)
    for row, own, count in zip(rows, edges, counts, strict=True):
        expected = np.histogram(row.astype(np.float64), own)[0]
        assert count.tolist() == expected.tolist()


def test_a_map_shows_who_is_near_and_is_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((4, 16))
    group = np.arange(120) % 4
    W_dec = (centres[group] + 0.2 * rng.standard_normal((120, 16))).astype(np.float32)
    unit = W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    order = np.argsort(-cosines, axis=1)[:, :15].astype(np.int32)
    near = Neighbours(order, np.take_along_axis(cosines, order, 1))
    places = layout(W_dec, near, "umap", 0)
    assert np.array_equal(places, layout(W_dec, near, "umap", 0))
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(1)] == group).all()


PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(int(sys.argv[3]))
from tests.builders import token_chunks
from tinysae.features.index import reading
from tinysae.features.index.build import build_index
from tinysae.model.sources import load_model
from tinysae.sae.load import load_sae
reading.TOKENS_ENCODED, reading.SHARD_TOKENS = 64, 128
folder = Path(sys.argv[1])
die_at = int(sys.argv[2])
def progress(done, total):
    if die_at and done >= die_at:
        os.kill(os.getpid(), signal.SIGKILL)
model = load_model(str(folder / "model"))
chunks = list(token_chunks(model, 60))
build_index(
    load_sae(folder / "sae"), model, chunks, folder / "features", n_tokens=960,
    memory_mb=int(sys.argv[4]), progress=progress,
)
"""


def build(folder: Path, die_at: int, n_threads: int = 2, memory_mb: int = 512) -> int:
    arguments = map(str, (folder, die_at, n_threads, memory_mb))
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, cwd=Path(__file__).parents[2]).returncode


@pytest.mark.slow
def test_a_killed_build_goes_on_and_gives_the_same_bits(tmp_path: Path) -> None:
    from tests.builders import write_model, write_sae

    for name in ("whole", "killed"):
        write_model(tmp_path / name / "model")
        write_sae(tmp_path / name / "sae")
    assert build(tmp_path / "whole", 0, n_threads=1, memory_mb=1) == 0
    killed = tmp_path / "killed"
    # While reading, and when everything had been read.
    for die_at in (400, 860):
        assert build(killed, die_at) == -signal.SIGKILL
        assert not (killed / "features").exists()
    shards = [p for p in (killed / "features.partial").iterdir() if p.is_dir()]
    assert len(shards) >= 3
    oldest = min(os.stat(p).st_ctime_ns for p in shards)
    damaged = sorted(shards)[-1] / "value"
    damaged.write_bytes(damaged.read_bytes()[:-4])
    assert build(killed, 860) == -signal.SIGKILL
    kept = [p for p in (killed / "features.partial").iterdir() if p.is_dir()]
    assert min(os.stat(p).st_ctime_ns for p in kept) == oldest
    assert build(killed, 0) == 0
    assert not (killed / "features.partial").exists()
    whole = tmp_path / "whole" / "features"
    for path in whole.iterdir():
        ours: Any = (killed / "features" / path.name).read_bytes()
        if path.name == "index.json":
            ours = ours.replace(b"/killed/", b"/whole/")
        assert ours == path.read_bytes(), path.name
