"""Downloads one model of the hub: `python -m tinysae.model.fetch SOURCE`.

A process of its own, so that it outlives the page and can be stopped. What is fetched,
and whether a pickle among it may be read, is decided here; `hub.repository` fetches.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tinysae.errors import MissingError, TinysaeError
from tinysae.hub.cache import check_space, repo_dir
from tinysae.hub.errors import hub_errors
from tinysae.hub.names import MAIN, HubName
from tinysae.hub.repository import Repository, ask
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
    PICKLE,
    checked_hub_name,
    converted_dir,
    has_safetensors,
    wanted_files,
)

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 0.25
# Speed is averaged over about so many reports.
SMOOTHING = 8


class Stopped(Exception):
    """Somebody asked for it."""


class Plan(NamedTuple):
    """What will be downloaded: which files of what, and the pin of the pickle among
    them, if there is one to convert."""

    repository: Repository
    files: list[str]
    pin: Pin | None

    @property
    def n_bytes(self) -> int:
        return self.repository.size(self.files)


def plan(name: HubName, source: str) -> Plan:
    """Asks the hub what there is, and takes what can be read here.

    Raises:
        MissingError, InputError: there is no such model, or nothing to read in it.
    """
    repository, pin = ask(name), None
    if not has_safetensors(repository.files):
        if any(file.endswith(".gguf") for file in repository.files):
            raise MissingError("hub_only_gguf", model=source)
        if PICKLE not in repository.files:
            raise MissingError("hub_no_weights", model=source)
        pin = pin_of(name.repo_id)
        if pin is None or name.revision not in (MAIN, pin.revision):
            raise _refusal(repository, source)
        repository = ask(HubName(name.repo_id, pin.revision))
    wanted = {*wanted_files(repository.files), *([PICKLE] if pin else [])}
    return Plan(repository, sorted(wanted & repository.files.keys()), pin)


def _refusal(repository: Repository, source: str) -> MissingError:
    """Why a pickle is not downloaded; of the list's, with what would be trusted."""
    name = repository.name
    pin = _pin_in(repository) if name.revision == MAIN else None
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
        pin = _pin_in(ask(HubName(repo_id)))
    if pin is None:
        raise MissingError("hub_no_weights", model=repo_id)
    return pin


def _pin_in(repository: Repository) -> Pin | None:
    pickle = repository.files.get(PICKLE)
    if pickle is None or pickle.sha256 is None:
        return None
    return Pin(repository.commit, pickle.sha256)


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

    def __call__(self, done: int, total: int) -> None:
        """So many bytes are there.

        Raises:
            Stopped: somebody asked for it.
        """
        self.done, self.total = done, total
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
                planned = plan(name, source)
                paths = _download(planned, reporter)
        except Stopped:
            reporter.stopped()
            return
        if planned.pin is not None:
            total = planned.n_bytes
            write_download(folder, Download("converting", total, total))
            _convert(dict(zip(planned.files, paths, strict=True)), planned)
    write_download(folder, Download("done", planned.n_bytes, planned.n_bytes))


def _download(planned: Plan, reporter: Reporter) -> list[Path]:
    """Brings what was planned into the hub's cache; where it is there."""
    if planned.pin:
        # What is made of it takes as much again.
        check_space(repo_dir(planned.repository.name.repo_id), 2 * planned.n_bytes)
    reporter.begin(planned.n_bytes)
    return planned.repository.fetch(planned.files, reporter)


def _convert(paths: Mapping[str, Path], planned: Plan) -> None:
    assert planned.pin is not None
    repo_id, pin = planned.repository.name.repo_id, planned.pin
    with staged_folder(converted_dir(repo_id, pin.revision)) as stage:
        for name in wanted_files(paths):
            shutil.copyfile(paths[name], stage / name)
        convert(paths[PICKLE], pin.sha256, stage / "model.safetensors")


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
