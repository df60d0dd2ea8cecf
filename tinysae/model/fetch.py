"""Downloads one model of the hub: `python -m tinysae.model.fetch SOURCE`.

A process of its own, so that it outlives the page and can be stopped. huggingface_hub
throws away what arrived of a file when its process ends; large files are therefore read
here, into `<blob>.incomplete` of its cache, with `http_get` from where the last attempt
ended, and checked against their SHA-256. The library then does the rest: small files,
links, references.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tinysae.errors import BusyError, DamagedError, InputError, MissingError
from tinysae.errors import TinysaeError as Told
from tinysae.model.catalogue import Pin, pin_of
from tinysae.model.convert import convert, sha256_of
from tinysae.model.downloads import (
    Download,
    download_dir,
    write_download,
    written_download,
)
from tinysae.model.hub import (
    MAIN,
    PICKLE,
    HubName,
    checked_hub_name,
    converted_dir,
    has_safetensors,
    repo_dir,
    wanted_files,
)
from tinysae.runs.files import free_space, staged_folder
from tinysae.runs.launch import stop_requested

logger = logging.getLogger(__name__)

# Small enough that a bar moves and Stop is answered on a slow line.
CHUNK_BYTES = 256 * 1024
REPORT_EVERY_S = 0.25
# A server that is in trouble for longer than this is down.
RETRIES = 5
RETRY_S = 0.5
# Speed is averaged over about so many reports.
SMOOTHING = 8


class Stopped(Exception):
    """Somebody asked for it."""


@dataclass(frozen=True)
class Plan:
    """What will be downloaded.

    Attributes:
        commit: the revision, as the hub's commit.
        sizes: bytes of each file.
        large: the SHA-256 of each file that is kept in large-file storage.
        pin: the pickle among them, if there is one to convert.
    """

    commit: str
    sizes: dict[str, int]
    large: dict[str, str]
    pin: Pin | None = None


def plan(name: HubName, source: str) -> Plan:
    """Asks the hub what there is, and takes what can be read here.

    Raises:
        MissingError, InputError: there is no such model, or nothing to read in it.
    """
    found = _asked(name)
    names = [sibling.rfilename for sibling in found.siblings or []]
    pin = None
    if not has_safetensors(names):
        if any(file.endswith(".gguf") for file in names):
            raise MissingError("hub_only_gguf", model=source)
        if PICKLE not in names:
            raise MissingError("hub_no_weights", model=source)
        pin = pin_of(name.repo_id)
        if pin is None or name.revision not in (MAIN, pin.revision):
            raise MissingError("hub_only_pickles", model=source, id=name.repo_id)
        found = _asked(HubName(name.repo_id, pin.revision))
        names = [sibling.rfilename for sibling in found.siblings or []]
    wanted = {*wanted_files(names), *([PICKLE] if pin else [])}
    files = [s for s in found.siblings or [] if s.rfilename in wanted]
    assert found.sha is not None
    return Plan(
        found.sha,
        {file.rfilename: file.size or 0 for file in files},
        {file.rfilename: file.lfs.sha256 for file in files if file.lfs},
        pin,
    )


def _asked(name: HubName) -> Any:
    from huggingface_hub import HfApi

    return HfApi().model_info(name.repo_id, revision=name.revision, files_metadata=True)


def ask_for_pin(repo_id: str) -> Pin:
    """The pin of the pickle that the repository has now.

    Raises:
        MissingError, InputError: there is no such model, or no pickle in it.
    """
    with told(repo_id):
        found = _asked(HubName(repo_id))
        for sibling in found.siblings or []:
            if sibling.rfilename == PICKLE and sibling.lfs and found.sha:
                return Pin(found.sha, sibling.lfs.sha256)
    raise MissingError("hub_no_weights", model=repo_id)


@dataclass
class Reporter:
    """Writes down how far it is, a few times a second, and notices a stop."""

    folder: Path
    total: int
    done: int = 0
    _said_at: float = field(default_factory=time.monotonic)
    _said: int = 0
    _speed: float | None = None

    def begin(self) -> None:
        """Says where this attempt starts."""
        self._said = self.done
        write_download(self.folder, Download("working", self.done, self.total))

    def add(self, n_bytes: int) -> None:
        """So many more bytes arrived (or were given up).

        Raises:
            Stopped: somebody asked for it.
        """
        self.done += n_bytes
        if stop_requested(self.folder):
            raise Stopped
        elapsed = time.monotonic() - self._said_at
        if elapsed < REPORT_EVERY_S:
            return
        speed = (self.done - self._said) / elapsed
        weight = 1 if self._speed is None else 1 / SMOOTHING
        self._speed = (self._speed or 0.0) * (1 - weight) + speed * weight
        self._said_at, self._said = time.monotonic(), self.done
        write_download(
            self.folder, Download("working", self.done, self.total, self._speed)
        )


class Counter(Protocol):
    """Hears of bytes that arrived; what it raises ends the download."""

    def add(self, n_bytes: int, /) -> None: ...


class _Counted:
    """A file that tells how much is written to it."""

    def __init__(self, file: Any, add: Callable[[int], None]) -> None:
        self._file, self._add = file, add

    def write(self, data: bytes) -> int:
        n = self._file.write(data)
        self._add(n)
        return n

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def fetch_blob(url: str, blob: Path, size: int, sha256: str, reporter: Counter) -> None:
    """Reads `url` into `blob`, from where an earlier attempt ended.

    Raises:
        DamagedError: what came is not what the hub announced.
        BusyError: another process reads it just now.
        Stopped: somebody asked for it; what arrived stays.
    """
    part = blob.with_name(f"{blob.name}.incomplete")
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise BusyError("download_busy", model=blob.name[:12]) from problem
        if file.tell() > size:
            file.truncate(0)
        reporter.add(file.tell())
        _read(url, file, size, reporter)
        file.flush()
        os.fsync(file.fileno())
        if sha256_of(part) != sha256:
            # Nothing of it can be trusted: the next attempt begins anew.
            part.unlink()
            raise DamagedError("download_damaged")
        part.replace(blob)


def _read(url: str, file: Any, size: int, reporter: Counter) -> None:
    """`http_get` until the file is whole; a server in trouble is asked again."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    failures = 0
    counted: Any = _Counted(file, reporter.add)
    while True:
        begun = file.tell()
        try:
            http_get(
                url,
                counted,
                resume_size=begun,
                headers=build_hf_headers(),
                expected_size=size,
            )
            return
        except (HfHubHTTPError, httpx2.TransportError, OSError) as problem:
            status = getattr(getattr(problem, "response", None), "status_code", 500)
            is_full = isinstance(problem, OSError) and problem.errno == errno.ENOSPC
            failures = 1 if file.tell() > begun else failures + 1
            if status < 500 or is_full or failures > RETRIES:
                raise
            logger.warning("%s; once more", problem)
            time.sleep(RETRY_S * failures)
            reporter.add(0)


def fetch(source: str) -> None:
    """Downloads the model of `source` and, if it is a pinned pickle, converts it.

    Raises:
        TinysaeError: with what went wrong and what to do.
        Stopped: somebody asked for it.
    """
    from huggingface_hub import hf_hub_url, snapshot_download

    name, folder = checked_hub_name(source), download_dir(source)
    with told(source):
        found = plan(name, source)
        repo = repo_dir(name.repo_id)
        total = sum(found.sizes.values())
        _check_disk(repo, total * (2 if found.pin else 1))
        reporter = Reporter(folder, total)
        reporter.begin()
        # Small ones first: whether they can be had says whether the rest can.
        for file in sorted(found.large, key=lambda file: found.sizes[file]):
            blob = repo / "blobs" / found.large[file]
            if blob.exists():
                reporter.add(found.sizes[file])
                continue
            url = hf_hub_url(name.repo_id, file, revision=found.commit)
            size, sha256 = found.sizes[file], found.large[file]
            fetch_blob(url, blob, size, sha256, reporter)
        revision = found.pin.revision if found.pin else name.revision
        snapshot = snapshot_download(
            name.repo_id, revision=revision, allow_patterns=sorted(found.sizes)
        )
        if found.pin is not None:
            _convert(Path(snapshot), name.repo_id, found.pin, folder, total)
    write_download(folder, Download("done", total, total))


def _convert(snapshot: Path, repo_id: str, pin: Pin, folder: Path, total: int) -> None:
    write_download(folder, Download("converting", total, total))
    with staged_folder(converted_dir(repo_id, pin.revision)) as stage:
        for path in snapshot.iterdir():
            if path.name != PICKLE and path.name in wanted_files([path.name]):
                shutil.copyfile(path, stage / path.name)
        convert(snapshot / PICKLE, pin.sha256, stage / "model.safetensors")


def _check_disk(repo: Path, needed: int) -> None:
    place, free = free_space(repo)
    if free < needed:
        raise MissingError(
            "download_disk",
            needed=f"{needed / 1e9:.1f}",
            there=f"{free / 1e9:.1f}",
            path=str(place),
        )


@contextmanager
def told(source: str) -> Iterator[None]:
    """What the hub's client raises inside, as a sentence that says what to do."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as problem:
        raise MissingError("hub_gated", model=source) from problem
    except errors.RepositoryNotFoundError as problem:
        raise MissingError("hub_unknown", model=source) from problem
    except errors.RevisionNotFoundError as problem:
        raise MissingError("hub_revision", model=source) from problem
    except errors.HFValidationError as problem:
        raise InputError("hub_name", source=source) from problem
    except errors.HfHubHTTPError as problem:
        status = problem.response.status_code
        if status in (401, 403):
            raise MissingError("hub_token", model=source) from problem
        raise MissingError("hub_trouble", model=source, status=status) from problem
    except (
        errors.OfflineModeIsEnabled,
        errors.LocalEntryNotFoundError,
        httpx2.TransportError,
    ) as problem:
        raise MissingError("hub_unreachable", model=source) from problem
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise MissingError("download_full") from problem
        raise MissingError("hub_trouble", model=source, status="-") from problem


def main(source: str) -> int:
    """Works on the download of `source`; its last word is in the status file."""
    folder = download_dir(source)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fetch(source)
        return 0
    except Stopped:
        last = written_download(folder)
        write_download(folder, Download("stopped", last.done, last.total))
        return 0
    except Told as error:
        logger.exception("the download failed")
        key, values = error.key, {k: str(v) for k, v in error.values.items()}
    except Exception:
        logger.exception("the download failed")
        key, values = "error.unexpected", {}
    last = written_download(folder)
    write_download(folder, Download("failed", last.done, last.total, None, key, values))
    return 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main(sys.argv[1]))
