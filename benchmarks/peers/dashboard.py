"""SAEDashboard on an SAE and tokens that are given; run by benchmarks/index.py, in an
environment of its own.

    python dashboard.py MODEL SAE TOKENS.npy N_FEATURES REPEATS

Prints one line of JSON: seconds of each repeat until its page can be opened (the first,
in which libraries make themselves ready, is not among them), each feature's density and
maximum.
"""

import copy
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sae_dashboard.data_writing_fns import save_feature_centric_vis
from sae_dashboard.sae_vis_data import SaeVisConfig
from sae_dashboard.sae_vis_runner import SaeVisRunner
from sae_lens import SAE, HookedSAETransformer
from transformer_lens.loading_from_pretrained import (
    get_pretrained_model_config,
    get_pretrained_state_dict,
)
from transformers import PreTrainedTokenizerFast


def tokenizer_of(model_dir: str, folder: str) -> PreTrainedTokenizerFast:
    """The model's tokenizer under the name that the class had before transformers 5."""
    copied = Path(shutil.copytree(model_dir, Path(folder) / "model"))
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    return PreTrainedTokenizerFast.from_pretrained(copied)


def model_of(model_dir: str) -> HookedSAETransformer:
    """SAELens's own kind of model, its weights unprocessed."""
    config = get_pretrained_model_config(model_dir, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tokenizer_of(model_dir, folder)
        model = HookedSAETransformer(config, tokenizer=tokenizer)
    model.load_and_process_state_dict(
        get_pretrained_state_dict(model_dir, config),
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=False,
    )
    return model


def main(model_dir: str, sae_dir: str, tokens: str, n: str, repeats: str) -> None:
    model = model_of(model_dir)
    sae = SAE.load_from_disk(sae_dir, device="cpu")
    rows = torch.from_numpy(np.load(tokens)).long()
    hook = sae.cfg.metadata.hook_name
    seconds, density, largest = [], [], []
    for repeat in range(int(repeats) + 1):
        settings = SaeVisConfig(
            hook_point=hook,
            features=range(int(n)),
            minibatch_size_features=int(n),
            minibatch_size_tokens=64,
            device="cpu",
        )
        # It folds the decoder's norms into the SAE it is given.
        own = copy.deepcopy(sae)
        started = time.perf_counter()
        data = SaeVisRunner(settings).run(encoder=own, model=model, tokens=rows)
        with tempfile.TemporaryDirectory() as folder:
            save_feature_centric_vis(data, Path(folder) / "features.html")
            if repeat:
                seconds.append(time.perf_counter() - started)
        largest = data.feature_stats.max
        density = data.feature_stats.frac_nonzero
    print(json.dumps({"seconds": seconds, "density": density, "max": largest}))


if __name__ == "__main__":
    main(*sys.argv[1:])
