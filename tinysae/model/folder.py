"""A model's files on this disk, looked at before any library opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinysae.checked_numbers import is_number
from tinysae.errors import DamagedError, MissingError
from tinysae.jobs.files import read_json
from tinysae.model.tensor_header import n_numbers_of, tensor_header

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# What configurations call the number of layers.
N_LAYERS_NAMES = frozenset({"num_hidden_layers", "num_layers", "n_layer", "n_layers"})
FLOAT_BYTES = 4
# Beside the weights in float32: the largest of them as it is in its file, and a batch.
MEMORY_FACTOR = 1.25


def checked_files(folder: Path) -> dict[str, Any]:
    """The config, after everything that loading would open has been looked at.

    Raises:
        MissingError: a file is not there, or there are only pickles.
        DamagedError: a file cannot be read, or is shorter than it says.
    """
    if not (folder / "config.json").is_file():
        raise MissingError("model_file_missing", folder=folder.name, file="config.json")
    config = _json(folder / "config.json")
    has_tokenizer = (folder / "tokenizer.json").is_file() or all(
        (folder / file).is_file() for file in ("vocab.json", "merges.txt")
    )
    if not has_tokenizer:
        raise MissingError(
            "model_file_missing", folder=folder.name, file="tokenizer.json"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        if any(any(folder.glob(pattern)) for pattern in PICKLES):
            raise MissingError("model_only_pickles", folder=folder.name)
        raise MissingError(
            "model_file_missing", folder=folder.name, file="model.safetensors"
        )
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = _json(index).get("weight_map")
        if not isinstance(shards, dict):
            raise DamagedError(
                "model_file_damaged", folder=folder.name, file=index.name
            )
        for shard in sorted(set(map(str, shards.values()))):
            if folder / shard not in weights:
                raise MissingError("model_file_missing", folder=folder.name, file=shard)
    for file in weights:
        if tensor_header(file) is None:
            raise DamagedError("model_file_damaged", folder=folder.name, file=file.name)
    return config


def _json(file: Path) -> dict[str, Any]:
    try:
        return read_json(file)
    except (OSError, ValueError) as problem:
        raise DamagedError(
            "model_file_damaged", folder=file.parent.name, file=file.name
        ) from problem


def count_parameters(folder: Path) -> int:
    """How many numbers the folder's safetensors hold, by their headers."""
    return sum(
        n_numbers_of(entry)
        for file in folder.glob("*.safetensors")
        for entry in (tensor_header(file) or {}).values()
    )


def check_layers(config: dict[str, Any], folder: Path) -> None:
    """Refuses a config with more layers than its weights can have: transformers builds
    each before it looks for its weights, minutes for a hundred thousand.

    Raises:
        DamagedError: there are fewer tensors than layers.
    """
    n_tensors = sum(
        len(tensor_header(file) or ()) for file in folder.glob("*.safetensors")
    )
    # Some keep the language model's part in a table of its own.
    tables = [config, *(part for part in config.values() if isinstance(part, dict))]
    for table in tables:
        for name in sorted(N_LAYERS_NAMES & table.keys()):
            if is_number(table[name]) and table[name] > n_tensors:
                raise DamagedError(
                    "model_weights_missing",
                    folder=folder.name,
                    weight=f"{name} {n_tensors + 1:,}",
                )


def check_memory(n_parameters: int, name: str) -> None:
    """Refuses a model that does not fit into the memory that is free now.

    Raises:
        MissingError: with what it needs and what there is.
    """
    # Comes with TransformerLens's and SAELens's own needs.
    import psutil

    needed = int(n_parameters * FLOAT_BYTES * MEMORY_FACTOR)
    there = psutil.virtual_memory().available
    if needed > there:
        raise MissingError(
            "model_memory",
            model=name[:200],
            needed=f"{needed / 1e9:.1f}",
            there=f"{there / 1e9:.1f}",
        )
