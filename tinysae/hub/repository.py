"""A repository of the hub: what is in it, and its files brought into the hub's cache.

The one way here to look at a repository and to fetch from it, for models, texts and
SAEs alike. huggingface_hub does the talking and keeps what it downloads where it always
does; a download that was cut off goes on from there. The token is the client's own
affair (the environment's `HF_TOKEN`, or what `hf auth login` left): it is never read
here, so that it can be neither stored, shown nor logged.

What the client raises passes through: `hub.errors` makes sentences of it, for whoever
knows what was asked for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tinysae.errors import DamagedError
from tinysae.hub.blobs import fetch_blob, partial_bytes
from tinysae.hub.cache import check_space, repo_dir, snapshot_dir
from tinysae.hub.errors import no_network
from tinysae.hub.names import HubName, RepoKind
from tinysae.jobs.files import sha256_of

Progress = Callable[[int, int], object]
"""Hears how many bytes are there, of how many; what it raises ends the transfer."""


class RemoteFile(NamedTuple):
    """A file of a repository: where, bytes, and the SHA-256 of its content, which the
    hub says of what is in large-file storage."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Repository:
    """A repository as it was when somebody looked.

    Attributes:
        commit: the revision, as the hub's commit.
        files: by their paths.
        is_online: whether the hub said so; else it is what the cache has.
    """

    name: HubName
    kind: RepoKind
    commit: str
    files: Mapping[str, RemoteFile]
    is_online: bool = True

    def size(self, paths: Iterable[str]) -> int:
        """Bytes of these files."""
        return sum(self.files[path].size for path in paths)

    def folders_with(self, names: Sequence[str]) -> list[str]:
        """The folders that have files of all these names; the top is empty."""
        folders = {path.rpartition("/")[0] for path in self.files}
        return [
            folder
            for folder in sorted(folders)
            if all(f"{folder}/{name}".lstrip("/") in self.files for name in names)
        ]

    def fetch(self, paths: Sequence[str], progress: Progress) -> list[Path]:
        """Brings these files into the hub's cache, those that are not there yet.

        Returns:
            Where they are, in the order of `paths`.

        Raises:
            MissingError: there is no room for them.
            DamagedError: what came is not what the repository has.
            BusyError: another process reads one of them just now.
        """
        total = self.size(paths)
        check_space(repo_dir(self.name.repo_id, self.kind), self._missing(paths))
        done, places = 0, dict[str, Path]()
        # Small ones first: whether they can be had says whether the rest can.
        for path in sorted(paths, key=lambda path: self.files[path].size):

            def said(n: int, before: int = done) -> None:
                progress(before + n, total)

            places[path] = self._fetch(self.files[path], said)
            done += self.files[path].size
            progress(done, total)
        return [places[path] for path in paths]

    def _missing(self, paths: Iterable[str]) -> int:
        """Bytes that are still to come."""
        if not self.is_online:
            return 0
        files = [self.files[path] for path in paths]
        large = [(file.size, self._blob(file.sha256)) for file in files if file.sha256]
        return sum(file.size for file in files if not file.sha256) + sum(
            0 if blob.exists() else size - min(size, partial_bytes(blob))
            for size, blob in large
        )

    def _blob(self, sha256: str) -> Path:
        return repo_dir(self.name.repo_id, self.kind) / "blobs" / sha256

    def _fetch(self, file: RemoteFile, said: Callable[[int], object]) -> Path:
        from huggingface_hub import hf_hub_download, hf_hub_url

        (repo_id, revision), checked = self.name, None
        if file.sha256 is not None:
            blob = self._blob(file.sha256)
            if not blob.exists():
                url = hf_hub_url(
                    repo_id, file.path, revision=self.commit, repo_type=self.kind
                )
                # Goes on where an earlier process was ended, which the client does not.
                fetch_blob(url, blob, file.size, file.sha256, said)
                checked = blob.resolve()
        path = Path(
            hf_hub_download(
                repo_id,
                file.path,
                repo_type=self.kind,
                # By its name, which is then in the cache too, for when nobody answers.
                revision=revision,
                local_files_only=not self.is_online,
                tqdm_class=_bar_that_tells(said),
            )
        )
        if path.resolve() != checked and not _is_whole(path, file):
            # Or the next attempt would take it for what the repository has.
            for broken in (path.resolve(), path):
                with suppress(FileNotFoundError):
                    broken.unlink()
            raise DamagedError("download_damaged")
        return path


def ask(name: HubName, kind: RepoKind = "model") -> Repository:
    """The repository as the hub has it now."""
    from huggingface_hub import HfApi

    info: Any = HfApi().repo_info(
        name.repo_id, revision=name.revision, repo_type=kind, files_metadata=True
    )
    files = [
        RemoteFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None)
        for one in info.siblings or []
    ]
    commit = info.sha or name.revision
    return Repository(name, kind, commit, {file.path: file for file in files})


def ask_or_recall(name: HubName, kind: RepoKind = "model") -> Repository:
    """`ask`; when nobody answers, what the cache has of that revision."""
    try:
        return ask(name, kind)
    except no_network():
        return _recall(name, kind)


def _recall(name: HubName, kind: RepoKind) -> Repository:
    folder = snapshot_dir(name, kind)
    if folder is None:
        return Repository(name, kind, name.revision, {}, is_online=False)
    files = {
        (at := path.relative_to(folder).as_posix()): RemoteFile(
            at, path.stat().st_size, None
        )
        for path in folder.rglob("*")
        if path.is_file()
    }
    return Repository(name, kind, folder.name, files, is_online=False)


def _is_whole(path: Path, file: RemoteFile) -> bool:
    if file.sha256 is None:
        return path.stat().st_size == file.size
    return sha256_of(path) == file.sha256


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
