"""SAEs brought to the Hugging Face hub; the token stays the client's own affair."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tinysae.errors import MissingError
from tinysae.hub.errors import hub_errors
from tinysae.hub.names import check_repo_id
from tinysae.hub.repository import Progress


def has_token() -> bool:
    """Whether huggingface_hub would find a token; which one is not looked at."""
    from huggingface_hub import get_token

    return get_token() is not None


def upload_files(
    folder: Path, repo_id: str, progress: Progress, *, private: bool, message: str
) -> str:
    """Brings every file below `folder` to the same place in a model repository, in one
    commit.

    The repository is made if it is not there; one that is stays as visible as it is.

    Returns:
        The address of its page.

    Raises:
        InputError: that cannot be a repository's name.
        MissingError: no token, no access, no network.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    repo_id = check_repo_id(repo_id)
    if not has_token():
        raise MissingError("repo_no_token")
    with hub_errors(repo_id), _opened(folder) as files:
        api = HfApi()
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        operations = [
            # A file object: it says how far it was read, and takes the plain LFS way.
            CommitOperationAdd(path.relative_to(folder).as_posix(), file)
            for path, file in files.items()
        ]
        total = sum(file.size for file in files.values())
        for file in files.values():
            file.tell_to(lambda: progress(sum(f.sent for f in files.values()), total))
        api.create_commit(repo_id, operations, commit_message=message)
        progress(total, total)
    return str(url)


class _SentFile(io.BufferedReader):
    """A file that tells how much of it has been sent."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = path.stat().st_size
        self.sent = 0
        self._tell: Callable[[], object] | None = None

    def tell_to(self, tell: Callable[[], object]) -> None:
        """From now on reading is sending: the client has taken its checksum."""
        self._tell = tell

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self._tell is not None:
            # A retry starts at the beginning.
            self.sent = self.tell()
            self._tell()
        return data


@contextmanager
def _opened(folder: Path) -> "Iterator[dict[Path, _SentFile]]":
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path: _SentFile(path) for path in paths}
    try:
        yield files
    finally:
        for file in files.values():
            file.close()
