"""What a worker needs, loaded before it knows its job (`jobs.ready`)."""

import contextlib
import importlib
import os

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


def load_libraries() -> None:
    """Imports them, compiles the training step's kernels, and runs the shipped model
    once, which brings in what TransformerLens and transformers import late."""
    be_nice()
    # One core: nobody waits for this yet. A job takes all of them (`worker.load`).
    import torch

    torch.set_num_threads(1)
    for name in MODULES:
        importlib.import_module(name)
    from tinysae.sae.step.engine import numba_problem

    numba_problem()
    with contextlib.suppress(Exception), open(os.devnull, "w") as nowhere:
        from tinysae.model.sources import STORYBOOK, load_model

        with contextlib.redirect_stderr(nowhere):
            load_model(STORYBOOK)
