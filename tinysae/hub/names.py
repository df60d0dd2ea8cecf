"""What the Hugging Face hub calls things: repositories, revisions, folders in them."""

import re
from typing import Literal, NamedTuple

from tinysae.errors import InputError

RepoKind = Literal["model", "dataset"]
MAIN = "main"
# The hub's own rule for names, and what git's for revisions come to in practice.
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,254}", re.ASCII)
MAX_FOLDER_CHARACTERS = 1024


class HubName(NamedTuple):
    """A repository, and the branch, tag or commit of it that is meant."""

    repo_id: str
    revision: str = MAIN


def is_repo_id(name: str) -> bool:
    """Whether the hub can have a repository of that name, with an owner or without."""
    return (
        bool(_REPO_ID.fullmatch(name))
        and not any(pair in name for pair in ("--", ".."))
        and not name.endswith((".git", ".", "-"))
    )


def is_revision(name: str) -> bool:
    """Whether a branch, tag or commit can have that name; no path leads out of it."""
    return bool(_REVISION.fullmatch(name)) and ".." not in name


def check_repo_id(repo_id: str) -> str:
    """`repo_id` without the spaces around it.

    Raises:
        InputError: it is not “owner/name” as the hub has them.
    """
    given = repo_id.strip()
    if "/" not in given or not is_repo_id(given):
        raise InputError("repo_name", repo=given[:100])
    return given


def check_place(subfolder: str, revision: str) -> tuple[str, str]:
    """Both as the hub has them; an empty revision is the newest state.

    Raises:
        InputError: a folder outside the repository, or no name of a revision.
    """
    folder, revision = subfolder.strip().strip("/"), revision.strip() or MAIN
    parts = folder.split("/") if folder else []
    leads_out = any(part in ("", ".", "..") for part in parts)
    is_odd = "\\" in folder or "\0" in folder or len(folder) > MAX_FOLDER_CHARACTERS
    if leads_out or is_odd:
        raise InputError("repo_subfolder", folder=folder[:80])
    if not is_revision(revision):
        raise InputError("repo_revision", revision=revision[:80])
    return folder, revision
