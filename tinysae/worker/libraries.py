"""What a worker needs, loaded before it knows its job (`jobs.ready`)."""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator

from tinysae.worker.compiled import RULES, is_compiled
from tinysae.worker.load import be_nice

# What the stages import when their turn comes, with all that these bring along.
MODULES = (
    "sae_lens.training.sae_trainer",
    "tinysae.data.texts",
    "tinysae.features.index.build",
    "tinysae.runs.tracking",
    "tinysae.sae.load",
    "tinysae.sae.train",
    "tinysae.worker.finish",
    "tinysae.worker.life",
)
# Enough for UMAP to take the ways that it takes of thousands of features.
_N_PLACES, _N_NEIGHBOURS = 64, 15


def libraries() -> Iterator[Callable[[], object]]:
    """What to load, the first needed first: after each a job may be looked for."""
    yield _import_modules
    yield _run_shipped_model
    yield _compile_step
    yield _compile_rules
    yield _compile_map


def _import_modules() -> None:
    be_nice()
    # One core: nobody waits for this yet. A job takes all of them (`worker.load`).
    import torch

    torch.set_num_threads(1)
    for name in MODULES:
        importlib.import_module(name)


def _run_shipped_model() -> None:
    """It brings in what TransformerLens and transformers import late."""
    from tinysae.model.sources import STORYBOOK, load_model

    # Whatever is wrong with it, a job of it will say.
    with (
        contextlib.suppress(Exception),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        load_model(STORYBOOK)


def _compile_step() -> None:
    from tinysae.sae.step.engine import numba_problem

    numba_problem()


def _compile_rules() -> None:
    """Loads them: in a fresh install another process compiles them, and a job need not
    wait until this one has done the same."""
    from tinysae.features.names.rules import try_rules

    if is_compiled(RULES):
        try_rules()


def _compile_map() -> None:
    """UMAP's loops, which numba compiles anew in every process."""
    import numpy as np

    from tinysae.features.index.neighbours import Neighbours, layout

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((_N_PLACES, 8), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = rows @ rows.T
    np.fill_diagonal(cosine, -np.inf)
    feature = np.argsort(-cosine, axis=1)[:, :_N_NEIGHBOURS].astype(np.int32)
    near = Neighbours(feature, np.take_along_axis(cosine, feature, axis=1))
    layout(rows, near, "umap", 0)
