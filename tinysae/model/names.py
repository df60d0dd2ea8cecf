"""Models of the Hugging Face hub: what a source means there, and which folder has it.

Nothing here asks the network; `model.fetch` does, in a process of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tinysae.errors import InputError, MissingError
from tinysae.hub.cache import snapshot_dir
from tinysae.hub.names import MAIN, HubName, is_repo_id, is_revision
from tinysae.jobs.home import home
from tinysae.model.catalogue import entry_of, pin_of

PICKLE = "pytorch_model.bin"
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
# What loading opens; everything else of a repository stays where it is.
_TEXTS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
    }
)
_WEIGHTS = frozenset({"model.safetensors", "model.safetensors.index.json"})


def hub_name(source: str) -> HubName | None:
    """The model of the hub that `source` means: a name of the catalogue, an id
    ("owner/name"), or either with "@revision". None: it cannot be one.
    """
    name, at, revision = source.strip().partition("@")
    entry = entry_of(name)
    if entry is not None:
        if entry.repo_id is None:
            return None
        name = entry.repo_id
    if not is_repo_id(name) or (at and not is_revision(revision)):
        return None
    return HubName(name, revision if at else MAIN)


def shown_name(source: str) -> str:
    """`source` where there is little room: of a path, the folder's or file's own name.

    Untrusted text.
    """
    is_known = entry_of(source) is not None or hub_name(source) is not None
    return source if is_known else Path(source).name or source


def checked_hub_name(source: str) -> HubName:
    """`hub_name`, for somebody who means to download.

    Raises:
        InputError: it is not a name that a model of the hub can have.
    """
    name = hub_name(source)
    if name is None:
        raise InputError("hub_name", source=source[:200])
    return name


def wanted_files(names: Iterable[str]) -> list[str]:
    """Of a repository's files those that a download takes: no pickles."""
    return [n for n in names if n in _TEXTS | _WEIGHTS or _SHARD.fullmatch(n)]


def has_safetensors(names: Iterable[str]) -> bool:
    """Whether there are weights among these names that can be read as they are."""
    return any(n == "model.safetensors" or _SHARD.fullmatch(n) for n in names)


def converted_dir(repo_id: str, revision: str) -> Path:
    """Where the safetensors that were made of a pinned pickle are kept."""
    return home() / "models" / repo_id.replace("/", "--") / revision


def folder_of(name: HubName, source: str) -> Path:
    """The folder to load the model from.

    Raises:
        MissingError: it was not downloaded, or not to the end; with what to do.
    """
    if (converted := _converted(name)) is not None:
        return converted
    folder = snapshot_dir(name)
    if folder is not None:
        names = [path.name for path in folder.iterdir() if path.exists()]
        if has_safetensors(names) and "config.json" in names:
            return folder
        raise MissingError("hub_half_downloaded", model=source[:200])
    raise MissingError("hub_not_here", model=source[:200])


def _converted(name: HubName) -> Path | None:
    pin = pin_of(name.repo_id)
    if pin is None or name.revision not in (MAIN, pin.revision):
        return None
    folder = converted_dir(name.repo_id, pin.revision)
    return folder if (folder / "model.safetensors").is_file() else None
