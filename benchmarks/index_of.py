"""The SAE and the text that the index's benchmarks are about."""

from itertools import islice
from pathlib import Path

import numpy as np

from tinysae.config import TextChoice
from tinysae.data.corpus import token_chunks
from tinysae.embedded.build import shipped_config
from tinysae.model.sources import LoadedModel
from tinysae.sae.train import SAETraining

D_SAE, L0, TRAINING_TOKENS = 4096, 30.0, 400_000
CONTEXT_SIZE = 128
TEXT_SEED = 7


def text(model: LoadedModel, n_tokens: int) -> np.ndarray:
    """Contexts [n, CONTEXT_SIZE] of held-out stories."""
    chunks = token_chunks(
        model, TextChoice("storybook"), CONTEXT_SIZE, seed=TEXT_SEED, held_out=True
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
