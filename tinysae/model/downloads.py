"""Downloads of models: started by a page or a command, done by `model.fetch`.

A download is a folder `<home>/downloads/<id>/`: what was asked for, what its process
last said (`status.json`), and a lock that it holds. It outlives the page. What arrived
stays where Hugging Face keeps it, and the next download of the model goes on there.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tinysae.errors import BusyError
from tinysae.jobs.files import read_json, write_json
from tinysae.jobs.home import home, home_error
from tinysae.jobs.launch import spawn, take_lock
from tinysae.model.names import checked_hub_name
from tinysae.runs.store import LOCK_NAME, STOP_NAME, is_locked

STATUS_NAME = "status.json"
DownloadState = Literal[
    "none", "working", "converting", "done", "failed", "stopped", "interrupted"
]


@dataclass(frozen=True)
class Download:
    """How far a download is.

    Attributes:
        state: "none" when there never was one.
        done: bytes that arrived, those of earlier attempts included.
        total: bytes in all; 0 while that is not known.
        bytes_per_s: lately; None while that is not known.
        error: why it failed: a sentence's key, and what it fills in.
    """

    state: DownloadState = "none"
    done: int = 0
    total: int = 0
    bytes_per_s: float | None = None
    error: str | None = None
    error_values: dict[str, Any] | None = None

    @property
    def is_working(self) -> bool:
        """Whether a process is at it."""
        return self.state in ("working", "converting")

    @property
    def eta_s(self) -> float | None:
        """Seconds until everything is there, at the speed of late."""
        if self.state != "working" or not self.bytes_per_s:
            return None
        return max(0.0, (self.total - self.done) / self.bytes_per_s)


def download_dir(source: str) -> Path:
    """The folder of the download of `source`.

    Raises:
        InputError: it is not a name of the hub.
    """
    name = checked_hub_name(source)
    text = f"{name.repo_id}@{name.revision}"
    return home() / "downloads" / hashlib.sha256(text.encode()).hexdigest()[:16]


def download_state(source: str) -> Download:
    """How far the download of `source` is, from its files and its lock.

    Raises:
        InputError: from `download_dir`.
    """
    folder = download_dir(source)
    # First the lock: who ends between the two looks has written its last word.
    is_held = is_locked(folder)
    found = written_download(folder)
    if found.is_working and not is_held:
        return Download("interrupted", found.done, found.total)
    return found


def start_download(source: str) -> None:
    """Starts to download `source`, or goes on with it, in a process of its own.

    Raises:
        InputError: from `download_dir`.
        BusyError: somebody is at it already.
        MissingError: the home folder cannot be written.
    """
    folder = download_dir(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            lock = files.enter_context((folder / LOCK_NAME).open("ab"))
            log = files.enter_context((folder / "log.txt").open("ab"))
            if not take_lock(lock.fileno()):
                raise BusyError("download_busy", model=source[:200])
            (folder / STOP_NAME).unlink(missing_ok=True)
            before = written_download(folder)
            write_download(folder, Download("working", before.done, before.total))
            spawn(["tinysae.model.fetch", source], lock, log)
    except OSError as problem:
        raise home_error(problem) from problem


def stop_download(source: str) -> None:
    """Asks the download of `source` to end; what arrived stays.

    Raises:
        InputError: from `download_dir`.
    """
    with suppress(OSError):
        (download_dir(source) / STOP_NAME).touch()


def write_download(folder: Path, download: Download) -> None:
    """Replaces what is said about a download.

    Raises:
        OSError: the folder cannot be written.
    """
    write_json(folder / STATUS_NAME, asdict(download))


def wait_for_download(source: str, *, look_every_s: float = 0.1) -> Download:
    """Waits until nobody is at the download of `source` any more."""
    while is_locked(download_dir(source)):
        time.sleep(look_every_s)
    return download_state(source)


def written_download(folder: Path) -> Download:
    """What was last said about a download; whether it is true, its lock says."""
    try:
        data = read_json(folder / STATUS_NAME)
        found = Download(**data)
    except (OSError, ValueError, TypeError, RecursionError):
        return Download()
    return found if found.state in get_args(DownloadState) else Download()
