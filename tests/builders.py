"""Small, real things to test with: a model folder, an SAE folder, a finished run.

Everything is random from a seed and takes milliseconds; nothing is downloaded.
"""

import fcntl
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from tests.unit.tiny_model import build_tiny_model
from tinysae.config import TrainConfig
from tinysae.features.index.build import FeatureIndex, build_index
from tinysae.jobs.files import write_json
from tinysae.jobs.lock import LOCK_NAME
from tinysae.jobs.status import JobStatus, State, write_status
from tinysae.model.sources import LoadedModel, load_model
from tinysae.runs.metrics import StepMetrics
from tinysae.runs.store import Run, create_run
from tinysae.sae.load import load_sae

HOOK_NAME = "blocks.0.hook_mlp_out"
D_MODEL = 32
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<b>bold</b>",
    "**[link](https://example.com)** $x$ :smile:",
    "%{x}",
)


def write_model(folder: Path) -> Path:
    """The tiny model, with the texts of `HOSTILE` among its tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    build_tiny_model(folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    # In the places of bytes that no UTF-8 has, so that reading text goes on as before.
    vocabulary = tokenizer["model"]["vocab"]
    split = ByteLevel(add_prefix_space=False, use_regex=False)
    for byte, text in zip(range(0xF8, 0x100), HOSTILE, strict=False):
        vocabulary[split.pre_tokenize_str(text)[0][0]] = vocabulary.pop(chr(byte))
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def write_sae(
    folder: Path, *, d_in: int = D_MODEL, d_sae: int = 40, seed: int = 0, **cfg: Any
) -> Path:
    """A random standard SAE in SAELens's files; feature 0 never fires, 1 often does."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(d_sae, d_in, generator=generator)
    b_enc = torch.full((d_sae,), -20.0)
    b_enc[0], b_enc[1] = -1e6, 10.0
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {
            "W_enc": directions.T.contiguous(),
            "b_enc": b_enc,
            "W_dec": directions / directions.norm(dim=-1, keepdim=True),
            "b_dec": torch.zeros(d_in),
        },
        folder / "sae_weights.safetensors",
    )
    settings = {
        "architecture": "standard",
        "d_in": d_in,
        "d_sae": d_sae,
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "metadata": {"hook_name": HOOK_NAME, "model_name": "tiny"},
    }
    (folder / "cfg.json").write_text(json.dumps({**settings, **cfg}), encoding="utf-8")
    return folder


def token_chunks(
    model: LoadedModel, n: int, context_size: int = 16, seed: int = 0
) -> Iterator[NDArray[np.int32]]:
    """`n` random contexts: BOS first and now and then inside, `HOSTILE` among words."""
    rng = np.random.default_rng(seed)
    texts = [model.token_texts([token])[0] for token in range(model.d_vocab)]
    hostile = [texts.index(text) for text in HOSTILE]
    # Few enough tokens for each to come up often.
    tokens = rng.permutation([*hostile, *range(257, 320), model.bos_id])
    for _ in range(n):
        chunk = rng.choice(tokens[tokens < model.d_vocab], context_size)
        chunk[0] = model.bos_id
        yield chunk.astype(np.int32)


def finished_run(
    model_dir: Path, *, seed: int = 0, with_features: bool = True, **config: Any
) -> Run:
    """A run in `runs.store.home()` that says it is done, with an SAE and an index."""
    run = create_run(TrainConfig(**{"model_name": str(model_dir), "k": 4.0, **config}))
    write_sae(run.sae_dir, seed=seed)
    write_json(
        run.path / "eval.json",
        {
            "ce_loss_score": 0.9,
            "explained_variance": 0.8,
            "l0": 4.0,
            "n_dead": 1,
            "d_sae": 40,
            "dead_share": 1 / 40,
            "n_tokens": 1000,
        },
    )
    if with_features:
        index_run(run)
    write_status(run.path, JobStatus("done"))
    return run


def step_row(**changes: Any) -> StepMetrics:
    """A row of a run's curve; `changes` are of its values, or more of them."""
    row: Any = {
        "step": 0,
        "n_tokens": 64,
        "mse": 4.0,
        "l1": 1.0,
        "loss": 5.0,
        "l0": 30.0,
        "explained_variance": 0.9,
        "n_dead": 0,
        "lr": 1e-3,
        **changes,
    }
    return row


@contextmanager
def working(run: Run, state: State = "training") -> Generator[None]:
    """As if a worker held the run."""
    write_status(run.path, JobStatus(state))
    with (run.path / LOCK_NAME).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def index_run(run: Run) -> FeatureIndex:
    """Reads 60 contexts of random tokens for the run's SAE."""
    model = load_model(run.config.model_name)
    return build_index(
        load_sae(run.sae_dir),
        model,
        token_chunks(model, 60),
        run.features_dir,
        n_tokens=60 * 16,
    )
