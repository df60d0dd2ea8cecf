"""What a run was made with: versions, the code's git state, the text, the device."""

import hashlib
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.config import TrainConfig
from tinysae.data.corpus import token_chunks
from tinysae.jobs.launch import anybodys_environment

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

PACKAGES = (
    *("torch", "sae-lens", "transformer-lens", "transformers"),
    *("numpy", "numba"),
)
DATA_FINGERPRINT = "data_fingerprint"
# Enough to tell two texts, or two tokenizers, apart.
FINGERPRINT_CONTEXTS = 64
GIT_PATIENCE_S = 5


def provenance(
    config: TrainConfig, model: "LoadedModel", device: str
) -> dict[str, Any]:
    """JSON of what the numbers of a run depend on besides its settings.

    `data_fingerprint` is the sha256 of the first contexts' token ids (int32, little
    endian), `git` the checkout's commit, with a `+` when files differ from it; None
    where there is no git.
    """
    import torch

    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": _git_state(),
        DATA_FINGERPRINT: _fingerprint(config, model),
        "device": device,
        "n_threads": torch.get_num_threads(),
        "machine": platform.platform(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _fingerprint(config: TrainConfig, model: "LoadedModel") -> str:
    contexts = token_chunks(model, config.text, config.context_size, seed=config.seed)
    digest = hashlib.sha256()
    for context in islice(contexts, FINGERPRINT_CONTEXTS):
        digest.update(context.astype("<i4").tobytes())
    return digest.hexdigest()


def _git_state() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            env=anybodys_environment(),
            text=True,
            timeout=GIT_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
