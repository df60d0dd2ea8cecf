"""A pinned pickle of weights -> safetensors, in a process that does nothing else.

`python -m tinysae.model.convert PICKLE SHA256 OUT`. The file is opened only if it is,
byte for byte, the one that is pinned, and with `weights_only=True`: torch then makes
tensors and plain containers, and runs nothing that the file names.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tinysae.errors import DamagedError
from tinysae.jobs.files import sha256_of
from tinysae.jobs.launch import anybodys_environment

MINUTES = 30


def convert(pickle: Path, sha256: str, out: Path) -> None:
    """Writes the weights of `pickle` to `out`, by a process of its own.

    Raises:
        DamagedError: it is not the pinned file, or holds something else than weights.
    """
    command = [sys.executable, "-m", "tinysae.model.convert"]
    try:
        done = subprocess.run(
            [*command, str(pickle), sha256, str(out)],
            cwd=Path(__file__).parents[2],
            env=anybodys_environment(),
            stdin=subprocess.DEVNULL,
            timeout=60 * MINUTES,
        )
    except subprocess.TimeoutExpired as problem:
        raise DamagedError("pickle_refused", file=pickle.name) from problem
    if done.returncode:
        raise DamagedError("pickle_refused", file=pickle.name)


def _main(pickle: Path, sha256: str, out: Path) -> int:
    if sha256_of(pickle) != sha256:
        return 1
    import torch
    from safetensors.torch import save_file

    loaded = torch.load(pickle, map_location="cpu", weights_only=True)
    tensors, seen = {}, set()
    for name, tensor in loaded.items():
        # Masks that transformers made anew with every model, once saved beside them.
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            continue
        # A tied weight is one tensor with two names: the first one is enough.
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if tensor.ndim == 0 or place in seen:
            continue
        seen.add(place)
        tensors[str(name)] = tensor.contiguous().clone()
    save_file(tensors, out, metadata={"format": "pt"})
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
