"""Models of the Hugging Face hub: their names, and where they are on this machine.

They lie where Hugging Face keeps them, as its own tools leave them there. Nothing here
asks the network; `model.fetch` does, in a process of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinysae.errors import InputError, MissingError
from tinysae.jobs.home import home
from tinysae.model.catalogue import entry_of, pin_of

MAIN = "main"
PICKLE = "pytorch_model.bin"
# The hub's own rule for names, and what its revisions are in practice.
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w.-]{0,199}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
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


@dataclass(frozen=True)
class HubName:
    """A model of the hub: `repo_id`, and the branch, tag or commit `revision`."""

    repo_id: str
    revision: str = MAIN


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
    if not is_repo_id(name) or (at and not _REVISION.fullmatch(revision)):
        return None
    if at and ".." in revision:
        return None
    return HubName(name, revision if at else MAIN)


def checked_hub_name(source: str) -> HubName:
    """`hub_name`, for somebody who means to download.

    Raises:
        InputError: it is not a name that a model of the hub can have.
    """
    name = hub_name(source)
    if name is None:
        raise InputError("hub_name", source=source[:200])
    return name


def is_repo_id(name: str) -> bool:
    """Whether the hub can have a repository of that name, with an owner or without."""
    return (
        bool(_REPO_ID.fullmatch(name))
        and not any(pair in name for pair in ("--", ".."))
        and not name.endswith((".git", ".", "-"))
    )


def wanted_files(names: list[str]) -> list[str]:
    """Of a repository's files those that a download takes: no pickles."""
    return [n for n in names if n in _TEXTS | _WEIGHTS or _SHARD.fullmatch(n)]


def has_safetensors(names: list[str]) -> bool:
    """Whether there are weights among these names that can be read as they are."""
    return any(n == "model.safetensors" or _SHARD.fullmatch(n) for n in names)


def repo_dir(repo_id: str, kind: Literal["model", "dataset"] = "model") -> Path:
    """Where Hugging Face keeps the repository on this machine, if it is there."""
    # Light: no network, no torch.
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{kind}s--{repo_id.replace('/', '--')}"


def snapshot(name: HubName) -> Path | None:
    """The folder of the downloaded revision, whole or not; None: nothing is there."""
    repo, commit = repo_dir(name.repo_id), name.revision
    if not _COMMIT.fullmatch(commit):
        try:
            commit = (repo / "refs" / name.revision).read_text().strip()
        except (OSError, ValueError):
            return None
        if not _COMMIT.fullmatch(commit):
            return None
    folder = repo / "snapshots" / commit
    return folder if folder.is_dir() else None


def converted_dir(repo_id: str, revision: str) -> Path:
    """Where the safetensors that were made of a pinned pickle are kept."""
    return home() / "models" / repo_id.replace("/", "--") / revision


def folder_of(name: HubName, source: str) -> Path:
    """The folder to load the model from.

    Raises:
        MissingError: it was not downloaded, or not to the end; with what to do.
    """
    if (found := _converted(name)) is not None:
        return found
    folder = snapshot(name)
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
