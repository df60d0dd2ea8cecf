"""Downloads one model of the hub, in the process of its job (`model.downloads`).

Large files are read by `hub.blobs`, which goes on where the last attempt ended;
huggingface_hub does the rest: small files, links, references.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinysae.errors import MissingError
from tinysae.hub.blobs import Counting, check_space, fetch_blob
from tinysae.hub.errors import hub_errors
from tinysae.jobs.files import staged_folder
from tinysae.jobs.reporter import Bytes, Reporter
from tinysae.jobs.work import quits_when_asked
from tinysae.model.catalogue import CATALOGUE, Pin, pin_of
from tinysae.model.convert import convert
from tinysae.model.downloads import Download
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
        with quits_when_asked(download):
            found = plan(name, source)
            snapshot = _download(name, found, Bytes(Reporter(download), "downloading"))
        if found.pin is not None:
            download.say("converting")
            _convert(snapshot, name.repo_id, found.pin)
    download.say("done")


def _download(name: HubName, found: Plan, progress: Bytes) -> Path:
    """Brings what was planned into the hub's cache; the folder that has it there."""
    from huggingface_hub import hf_hub_url, snapshot_download

    repo, total = repo_dir(name.repo_id), sum(found.sizes.values())
    check_space(repo, total * (2 if found.pin else 1))
    done = 0
    # Small ones first: whether they can be had says whether the rest can.
    for file in sorted(found.large, key=lambda file: found.sizes[file]):
        size, sha256 = found.sizes[file], found.large[file]
        blob = repo / "blobs" / sha256
        if not blob.exists():

            def said(n: int, before: int = done) -> None:
                progress(before + n, total)

            url = hf_hub_url(name.repo_id, file, revision=found.commit)
            fetch_blob(url, blob, size, sha256, Counting(said))
        done += size
    revision = found.pin.revision if found.pin else name.revision
    wanted = sorted(found.sizes)
    snapshot = Path(
        snapshot_download(name.repo_id, revision=revision, allow_patterns=wanted)
    )
    progress(total, total)
    return snapshot


def _convert(snapshot: Path, repo_id: str, pin: Pin) -> None:
    with staged_folder(converted_dir(repo_id, pin.revision)) as stage:
        for path in snapshot.iterdir():
            if path.name != PICKLE and path.name in wanted_files([path.name]):
                shutil.copyfile(path, stage / path.name)
        convert(snapshot / PICKLE, pin.sha256, stage / "model.safetensors")
