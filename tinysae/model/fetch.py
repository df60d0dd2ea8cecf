"""Downloads one model of the hub: `python -m tinysae.model.fetch SOURCE`.

A process of its own, so that it outlives the page and can be stopped. Large files are
read by `hub.blobs`, which goes on where the last attempt ended; huggingface_hub does
the rest: small files, links, references.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinysae.errors import MissingError, TinysaeError
from tinysae.hub.blobs import check_space, fetch_blob
from tinysae.hub.errors import hub_errors
from tinysae.jobs.files import staged_folder
from tinysae.jobs.launch import quits_when_asked, stop_requested
from tinysae.model.catalogue import CATALOGUE, Pin, pin_of
from tinysae.model.convert import convert
from tinysae.model.downloads import (
    Download,
    download_dir,
    write_download,
    written_download,
)
from tinysae.model.names import (
    MAIN,
    PICKLE,
    HubName,
    checked_hub_name,
    converted_dir,
    has_safetensors,
    repo_dir,
    wanted_files,
)

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 0.25
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
            raise _refusal(found, name, source)
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


def _refusal(found: Any, name: HubName, source: str) -> MissingError:
    """Why a pickle is not downloaded; of the list's, with what would be trusted."""
    pin = _pin_in(found) if name.revision == MAIN else None
    if pin is None or all(entry.repo_id != name.repo_id for entry in CATALOGUE):
        return MissingError("hub_only_pickles", model=source)
    return MissingError(
        "hub_pickle_unpinned",
        model=source,
        id=name.repo_id,
        revision=pin.revision,
        sha256=pin.sha256,
    )


def ask_for_pin(repo_id: str) -> Pin:
    """The pin of the pickle that the repository has now.

    Raises:
        MissingError, InputError: there is no such model, or no pickle in it.
    """
    with hub_errors(repo_id):
        pin = _pin_in(_asked(HubName(repo_id)))
    if pin is None:
        raise MissingError("hub_no_weights", model=repo_id)
    return pin


def _pin_in(found: Any) -> Pin | None:
    for sibling in found.siblings or []:
        if sibling.rfilename == PICKLE and sibling.lfs and found.sha:
            return Pin(found.sha, sibling.lfs.sha256)
    return None


@dataclass
class Reporter:
    """Writes down how far it is, a few times a second, and notices a stop."""

    folder: Path
    total: int = 0
    done: int = 0
    _said_at: float = field(default_factory=time.monotonic)
    _said: int = 0
    _speed: float | None = None

    def begin(self, total: int) -> None:
        """Says what there is to download."""
        self.total = total
        write_download(self.folder, Download("working", 0, total))

    def stopped(self) -> None:
        """Says how far it came before somebody stopped it."""
        # Nothing yet, perhaps, of what an earlier attempt knows of.
        before = written_download(self.folder)
        done, total = max(self.done, before.done), self.total or before.total
        write_download(self.folder, Download("stopped", done, total))

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


def fetch(source: str) -> None:
    """Downloads the model of `source` and, if it is a pinned pickle, converts it.

    Raises:
        TinysaeError: with what went wrong and what to do.
    """
    name, folder = checked_hub_name(source), download_dir(source)
    reporter = Reporter(folder)
    with hub_errors(source):
        try:
            # A server that says nothing meanwhile is not waited for.
            with quits_when_asked(folder, reporter.stopped):
                found = plan(name, source)
                snapshot = _download(name, found, reporter)
        except Stopped:
            reporter.stopped()
            return
        total = sum(found.sizes.values())
        if found.pin is not None:
            _convert(snapshot, name.repo_id, found.pin, folder, total)
    write_download(folder, Download("done", total, total))


def _download(name: HubName, found: Plan, reporter: Reporter) -> Path:
    """Brings what was planned into the hub's cache; the folder that has it there."""
    from huggingface_hub import hf_hub_url, snapshot_download

    repo, total = repo_dir(name.repo_id), sum(found.sizes.values())
    check_space(repo, total * (2 if found.pin else 1))
    reporter.begin(total)
    # Small ones first: whether they can be had says whether the rest can.
    for file in sorted(found.large, key=lambda file: found.sizes[file]):
        size, sha256 = found.sizes[file], found.large[file]
        blob = repo / "blobs" / sha256
        if blob.exists():
            reporter.add(size)
            continue
        url = hf_hub_url(name.repo_id, file, revision=found.commit)
        fetch_blob(url, blob, size, sha256, reporter)
    revision = found.pin.revision if found.pin else name.revision
    wanted = sorted(found.sizes)
    return Path(
        snapshot_download(name.repo_id, revision=revision, allow_patterns=wanted)
    )


def _convert(snapshot: Path, repo_id: str, pin: Pin, folder: Path, total: int) -> None:
    write_download(folder, Download("converting", total, total))
    with staged_folder(converted_dir(repo_id, pin.revision)) as stage:
        for path in snapshot.iterdir():
            if path.name != PICKLE and path.name in wanted_files([path.name]):
                shutil.copyfile(path, stage / path.name)
        convert(snapshot / PICKLE, pin.sha256, stage / "model.safetensors")


def main(source: str) -> int:
    """Works on the download of `source`; its last word is in the status file."""
    folder = download_dir(source)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fetch(source)
        return 0
    except TinysaeError as error:
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
