"""Repositories for the hub of the tests, built when they are asked for.

`tutorial_model` has the shape of roneneldan/TinyStories-1Layer-21M: its list of files,
its config's keys, GPT-2's 50,257 tokens in GPT-2's files, and weights as the pickle
that it ships. Only the widths are small, and the weights random.
"""

import time
from pathlib import Path

import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from benchmarks.tutorial_shape import (
    END_ID,
    N_CTX,
    gpt2_tokenizer,
    tutorial_config,
    write_json,
)
from tinysae.jobs.lock import is_locked
from tinysae.jobs.status import JobStatus
from tinysae.model.downloads import download_of
from tinysae.model.libraries import LOADING

TUTORIAL_MODEL = "roneneldan/TinyStories-1Layer-21M"
TUTORIAL_DATASET = "apollo-research/roneneldan-TinyStories-tokenizer-gpt2"

GITATTRIBUTES = """\
*.bin filter=lfs diff=lfs merge=lfs -text
*.parquet filter=lfs diff=lfs merge=lfs -text
*.safetensors filter=lfs diff=lfs merge=lfs -text
"""


def tutorial_model(folder: Path, *, hidden_size: int = 32, num_heads: int = 4) -> Path:
    """The tutorial's model in small: 50,257 tokens, one layer, 2,048 positions."""
    gpt2_tokenizer(folder)
    config = tutorial_config(hidden_size, num_heads)
    write_json(folder / "config.json", config)
    write_json(
        folder / "generation_config.json",
        {"bos_token_id": END_ID, "eos_token_id": END_ID, "_from_model_config": True},
    )
    with LOADING:
        model = GPTNeoForCausalLM(GPTNeoConfig(**config))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25, generator=generator)
    weights = dict(model.state_dict())
    # What transformers saved at the time beside the weights.
    prefix = "transformer.h.0.attn.attention"
    weights[f"{prefix}.bias"] = torch.tril(
        torch.ones(1, 1, N_CTX, N_CTX, dtype=torch.bool)
    )
    weights[f"{prefix}.masked_bias"] = torch.tensor(-1e9)
    torch.save(weights, folder / "pytorch_model.bin")
    # Arguments of the training: a pickle with code in it, which nobody must open.
    (folder / "training_args.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    (folder / ".gitattributes").write_text(GITATTRIBUTES)
    (folder / "README.md").write_text("A model of the tests, with random weights.\n")
    return folder


def wait_for_download(source: str) -> JobStatus:
    """Waits until nobody is at the download of `source` any more."""
    download = download_of(source)
    while is_locked(download.path):
        time.sleep(0.1)
    return download.status
