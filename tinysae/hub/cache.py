"""Where Hugging Face keeps repositories on this machine, as its own tools leave them.

Nothing here asks the network.
"""

import re
from pathlib import Path

from tinysae.errors import MissingError
from tinysae.hub.names import HubName, RepoKind
from tinysae.jobs.files import free_space

_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_commit(revision: str) -> bool:
    """Whether it names one state for good, and no branch or tag."""
    return bool(_COMMIT.fullmatch(revision))


def repo_dir(repo_id: str, kind: RepoKind = "model") -> Path:
    """The repository's folder, if it is there."""
    # Light: no network, no torch.
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{kind}s--{repo_id.replace('/', '--')}"


def snapshot_dir(name: HubName, kind: RepoKind = "model") -> Path | None:
    """The folder of the downloaded revision, whole or not; None: nothing is there."""
    repo, commit = repo_dir(name.repo_id, kind), name.revision
    if not is_commit(commit):
        try:
            commit = (repo / "refs" / name.revision).read_text().strip()
        except (OSError, ValueError):
            return None
        if not is_commit(commit):
            return None
    folder = repo / "snapshots" / commit
    return folder if folder.is_dir() else None


def check_space(folder: Path, n_bytes: int) -> None:
    """Refuses what would fill the disk that `folder` is on, or will be.

    Raises:
        MissingError: with what it needs and what there is.
    """
    place, free = free_space(folder)
    if free < n_bytes:
        raise MissingError(
            "download_disk",
            needed=f"{n_bytes / 1e9:.1f}",
            there=f"{free / 1e9:.1f}",
            path=str(place),
        )
