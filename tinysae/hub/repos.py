"""SAEs on the Hugging Face hub: taken from there. `hub.upload` brings them there.

huggingface_hub does the talking and keeps what it downloads where it always does; a
download that was cut off goes on from there. The token is the client's own affair (the
environment's `HF_TOKEN`, or what `hf auth login` left): it is never read here, so that
it can be neither stored, shown nor logged.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.hub.blobs import Counting, check_space, fetch_blob
from tinysae.hub.errors import hub_errors, no_network
from tinysae.library.archive import LIMITS, NEEDED
from tinysae.model.names import is_repo_id, repo_dir

# A repository's file may be as large as what it becomes.
MAX_BYTES = sum(LIMITS.values())
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_CHUNK = 1 << 20

Progress = Callable[[int, int], object]
"""Hears how many bytes are there, of how many; what it raises ends the transfer."""


class RemoteFile(NamedTuple):
    """A file of a repository."""

    path: str
    size: int
    sha256: str | None
    """Of its content, where the hub says it."""


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
    folder, revision = subfolder.strip().strip("/"), revision.strip() or "main"
    parts = folder.split("/") if folder else []
    if any(part in ("", ".", "..") for part in parts) or len(folder) > 1024:
        raise InputError("repo_subfolder", folder=folder[:80])
    if "\\" in folder or "\0" in folder:
        raise InputError("repo_subfolder", folder=folder[:80])
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise InputError("repo_revision", revision=revision[:80])
    return folder, revision


def download_sae(
    repo_id: str, subfolder: str, revision: str, progress: Progress
) -> Path:
    """Fetches the SAE in `subfolder` of a repository; an empty one is the top, or the
    only folder that has an SAE.

    What is in the cache already is not fetched again; without a network it is enough.

    Returns:
        The folder in the hub's cache that has its files.

    Raises:
        InputError: the names cannot be right, or what is there is no SAE.
        MissingError: no such repository, folder or revision; no network; no access.
        DamagedError: what came is not what the repository has.
    """
    repo_id = check_repo_id(repo_id)
    subfolder, revision = check_place(subfolder, revision)
    with hub_errors(repo_id):
        remote = _Repository.at(repo_id, revision)
        folders = remote.folders_with(NEEDED)
        if not subfolder and "" not in folders:
            if len(folders) > 1:
                some = ", ".join(folders[:5])
                raise InputError("repo_many_saes", repo=repo_id, folders=some)
            subfolder = next(iter(folders), "")
        at = [f"{subfolder}/{name}" if subfolder else name for name in LIMITS]
        paths = remote.download(at, at[: len(NEEDED)], progress)
    return paths[0].parent


def download_files(repo_id: str, paths: Sequence[str], progress: Progress) -> None:
    """Fetches those of `paths` that a repository has now into the hub's cache.

    Raises:
        MissingError, DamagedError: as `download_sae`.
    """
    with hub_errors(repo_id):
        _Repository.at(repo_id, "main").download(paths, [], progress)


class _Repository(NamedTuple):
    """A model repository as it is; when nobody answers, what the cache has of it."""

    repo_id: str
    revision: str
    is_online: bool
    files: dict[str, RemoteFile]

    @classmethod
    def at(cls, repo_id: str, revision: str) -> "_Repository":
        from huggingface_hub import HfApi, is_offline_mode

        if is_offline_mode():
            return cls(repo_id, revision, False, _cached(repo_id, revision))
        try:
            api = HfApi()
            info = api.model_info(repo_id, revision=revision, files_metadata=True)
        except no_network():
            return cls(repo_id, revision, False, _cached(repo_id, revision))
        files = [
            RemoteFile(
                one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None
            )
            for one in info.siblings or []
        ]
        return cls(repo_id, revision, True, {file.path: file for file in files})

    def folders_with(self, names: Sequence[str]) -> list[str]:
        """The folders that have files of all these names; the top is empty."""
        folders = {path.rpartition("/")[0] for path in self.files}
        return [
            folder
            for folder in sorted(folders)
            if all(f"{folder}/{name}".lstrip("/") in self.files for name in names)
        ]

    def download(
        self, wanted: Sequence[str], needed: Sequence[str], progress: Progress
    ) -> list[Path]:
        """Fetches those of the `wanted` files that are there, in their order."""
        files = [self.files[path] for path in wanted if path in self.files]
        if missing := [path for path in needed if path not in self.files]:
            if not self.is_online:
                raise MissingError("repo_offline", repo=self.repo_id)
            raise InputError("repo_no_sae", repo=self.repo_id, file=missing[0])
        total = sum(file.size for file in files)
        if total > MAX_BYTES:
            limit = f"{MAX_BYTES:,}"
            raise InputError("repo_too_large", repo=self.repo_id, limit=limit)
        check_space(repo_dir(self.repo_id), total)
        done, paths = 0, list[Path]()
        for file in files:

            def said(n: int, before: int = done) -> None:
                progress(before + n, total)

            paths.append(self._fetch(file, said))
            done += file.size
            progress(done, total)
        return paths

    def _fetch(self, file: RemoteFile, said: Callable[[int], object]) -> Path:
        from huggingface_hub import hf_hub_download, hf_hub_url

        if file.sha256 is not None:
            blob = repo_dir(self.repo_id) / "blobs" / file.sha256
            if not blob.exists():
                url = hf_hub_url(self.repo_id, file.path, revision=self.revision)
                # Goes on where an earlier process was ended, which the client does not.
                fetch_blob(url, blob, file.size, file.sha256, Counting(said))
        path = Path(
            hf_hub_download(
                self.repo_id,
                file.path,
                # By its name, which is then in the cache too, for when nobody answers.
                revision=self.revision,
                local_files_only=not self.is_online,
                tqdm_class=_bar_that_tells(said),
            )
        )
        if not _is_whole(path, file):
            # Or the next attempt would take it for what the repository has.
            for broken in (path.resolve(), path):
                with suppress(FileNotFoundError):
                    broken.unlink()
            raise DamagedError("download_damaged")
        return path


def _cached(repo_id: str, revision: str) -> dict[str, RemoteFile]:
    """What the cache has of a repository at `revision`."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = snapshot_download(repo_id, revision=revision, local_files_only=True)
    except LocalEntryNotFoundError:
        return {}
    folder = Path(found)
    files = [
        RemoteFile(path.relative_to(folder).as_posix(), path.stat().st_size, None)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    return {file.path: file for file in files}


def _is_whole(path: Path, file: RemoteFile) -> bool:
    if file.sha256 is None:
        return path.stat().st_size == file.size
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _bar_that_tells(said: Callable[[int], object]) -> Any:
    """A progress bar that draws nothing: `said` hears of the bytes of its file."""
    from tqdm import tqdm

    class Bar(tqdm):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})
            # A disabled bar does not count.
            self.n = options.get("initial") or 0
            said(self.n)

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            said(int(self.n))

    return Bar
