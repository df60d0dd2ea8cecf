"""Published and older SAEs, read by SAELens and saved in its format of today.

For a process of its own: both functions import sae_lens.
"""

from pathlib import Path
from typing import Any

from tinysae.errors import DamagedError
from tinysae.sae.load import SPARSITY_NAME

# What its loaders raise of files that are not what they expect.
_PROBLEMS = (ValueError, KeyError, TypeError, RuntimeError)


def convert_published(release: str, sae_id: str, out_dir: Path) -> None:
    """Saves the SAE that SAELens calls so into `out_dir`.

    Its files are taken from the hub's cache if they are there. Whether its loader
    unpickles what it reads is the caller's affair (`library.registry`).

    Raises:
        DamagedError: SAELens cannot make an SAE of its files.
    """
    from sae_lens import SAE
    from safetensors.torch import save_file

    try:
        sae, _, sparsity = SAE.from_pretrained_with_cfg_and_sparsity(
            release, sae_id, device="cpu"
        )
    except _PROBLEMS as problem:
        raise DamagedError("import_damaged") from problem
    _save(sae, out_dir)
    if sparsity is not None:
        save_file({"sparsity": sparsity.contiguous()}, out_dir / SPARSITY_NAME)


def convert_folder(folder: Path, out_dir: Path) -> None:
    """Saves the SAE of an SAELens directory of any age into `out_dir`.

    Raises:
        DamagedError: SAELens cannot make an SAE of its files.
    """
    from sae_lens import SAE

    try:
        _save(SAE.load_from_disk(folder, device="cpu"), out_dir)
    except (OSError, *_PROBLEMS) as problem:
        raise DamagedError("import_damaged") from problem


def _save(sae: Any, out_dir: Path) -> None:
    # Some loaders transpose what they read; safetensors writes no such view.
    for parameter in sae.parameters():
        parameter.data = parameter.data.contiguous()
    sae.save_model(out_dir)
