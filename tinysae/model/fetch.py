"""Downloads one model of the hub, in the process of its job (`model.downloads`).

What is fetched, and whether a pickle among it may be read, is decided here;
`hub.repository` fetches.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tinysae.errors import MissingError
from tinysae.hub.cache import check_space, repo_dir
from tinysae.hub.errors import hub_errors
from tinysae.hub.names import MAIN, HubName
from tinysae.hub.repository import Progress, Repository, ask
from tinysae.jobs.files import staged_folder
from tinysae.jobs.reporter import Counted, Reporter
from tinysae.jobs.work import quits_when_asked
from tinysae.model.catalogue import CATALOGUE, Pin, pin_of
from tinysae.model.convert import convert
from tinysae.model.downloads import Download
from tinysae.model.names import (
    PICKLE,
    checked_hub_name,
    converted_dir,
    has_safetensors,
    wanted_files,
)


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


def fetch(download: Download) -> None:
    """Downloads a model and, if it is a pinned pickle, converts it.

    For the process that holds the download's lock.

    Raises:
        TinysaeError: with what went wrong and what to do.
        Stopped: somebody asked to stop.
    """
    name, source = checked_hub_name(download.source), download.source
    download.say("starting")
    with hub_errors(source):
        # A server that says nothing meanwhile is not waited for.
        reporter = Reporter(download)
        with quits_when_asked(download, reporter.tell):
            planned = plan(name, source)
            paths = _download(planned, Counted(reporter, "downloading"))
        if planned.pin is not None:
            download.say("converting")
            _convert(dict(zip(planned.files, paths, strict=True)), planned)
    download.say("done")


def _download(planned: Plan, progress: Progress) -> list[Path]:
    """Brings what was planned into the hub's cache; where it is there."""
    if planned.pin:
        # What is made of it takes as much again.
        check_space(repo_dir(planned.repository.name.repo_id), 2 * planned.n_bytes)
    return planned.repository.fetch(planned.files, progress)


def _convert(paths: Mapping[str, Path], planned: Plan) -> None:
    assert planned.pin is not None
    repo_id, pin = planned.repository.name.repo_id, planned.pin
    with staged_folder(converted_dir(repo_id, pin.revision)) as stage:
        for name in wanted_files(paths):
            shutil.copyfile(paths[name], stage / name)
        convert(paths[PICKLE], pin.sha256, stage / "model.safetensors")
