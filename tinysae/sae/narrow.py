"""A narrower SAE: the features that fire least often are left out."""

from pathlib import Path

from tinysae.jobs.files import read_json, write_json
from tinysae.sae.load import CFG_NAME, SPARSITY_NAME, WEIGHTS_NAME

# Of which dimension a feature is; the others' only one.
_AXIS = {"W_enc": 1, "W_dec": 0}
_SHARED = "b_dec"


def keep_busiest(folder: Path, d_sae: int) -> None:
    """Leaves of the SAE in an SAELens directory the `d_sae` features that fired most
    often in the last window of its training, in their order.

    What they do is what they did: each feature's activation depends on itself alone,
    but in a TopK SAE, which is not for this.

    Raises:
        OSError: the files cannot be read or written.
    """
    from safetensors.torch import load_file, save_file

    rates = load_file(folder / SPARSITY_NAME)
    kept = rates["sparsity"].argsort(descending=True, stable=True)[:d_sae].sort().values
    weights = {
        name: each
        if name == _SHARED
        else each.index_select(_AXIS.get(name, 0), kept).contiguous()
        for name, each in load_file(folder / WEIGHTS_NAME).items()
    }
    save_file(weights, folder / WEIGHTS_NAME)
    save_file({"sparsity": rates["sparsity"][kept]}, folder / SPARSITY_NAME)
    write_json(folder / CFG_NAME, {**read_json(folder / CFG_NAME), "d_sae": len(kept)})
