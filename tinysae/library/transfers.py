"""What takes a while between this machine and the hub: SAEs fetched, SAEs uploaded.

A transfer is a job in a folder under `<home>/transfers`, which can be started again
where it was cut off. Beside what every job has there is

    request.json   what is wanted
    files/         of an upload: what goes, as it goes
    result.json    what came of it: the id of an SAE, or an address

No token is among it: the hub's client has its own.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

from tinysae.errors import DamagedError, InputError, MissingError
from tinysae.hub.names import check_place, check_repo_id
from tinysae.hub.upload import upload_files
from tinysae.jobs.files import read_json, staged_folder, write_json
from tinysae.jobs.home import home, home_errors
from tinysae.jobs.job import JOB_ID, Job, job_ids, new_job_id
from tinysae.jobs.launch import HUB_KEYS
from tinysae.jobs.listed import Listed, listed
from tinysae.jobs.reporter import Counted, Reporter
from tinysae.jobs.status import JobStatus, write_status
from tinysae.library.imports import import_from_hub, import_from_registry
from tinysae.library.registry import registry_entry
from tinysae.library.saved import SavedSAE

Kind = Literal["hub", "registry", "upload"]
# The command that does it (`cli.sharing`).
COMMAND = "transfer"
MAX_TITLE = 80
REQUEST_NAME, RESULT_NAME, FILES_NAME = "request.json", "result.json", "files"


@dataclass(frozen=True)
class Transfer(Job):
    """One transfer's folder.

    Attributes:
        kind: what is done.
        request: with what, checked when it was made.
    """

    kind: Kind
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        name = self.request.get("repo_id") or self.request.get("sae_id") or self.id
        return str(name)[:MAX_TITLE]

    @property
    def keys(self) -> tuple[str, ...]:
        return HUB_KEYS

    @property
    def files_dir(self) -> Path:
        """Of an upload: what goes."""
        return self.path / FILES_NAME

    def result(self) -> dict[str, Any]:
        """`sae`: the id of what was fetched; `url`: where it was brought."""
        return self.read_json(RESULT_NAME) or {}


class PlannedFile(NamedTuple):
    """A file of an upload: its path in the repository, its size in bytes."""

    path: str
    size: int


def transfers_dir() -> Path:
    return home() / "transfers"


def fetch_from_hub(repo_id: str, subfolder: str = "", revision: str = "") -> Transfer:
    """A transfer, not yet started, that fetches the SAE of a hub repository.

    Raises:
        InputError: the names cannot be right.
        MissingError: the home cannot be written.
    """
    repo_id = check_repo_id(repo_id)
    subfolder, revision = check_place(subfolder, revision)
    return new_transfer(
        "hub", {"repo_id": repo_id, "subfolder": subfolder, "revision": revision}
    )


def fetch_from_registry(release: str, sae_id: str) -> Transfer:
    """A transfer, not yet started, that fetches an SAE of SAELens's list.

    Raises:
        InputError: it cannot be opened here.
        MissingError: the list has no such SAE, or the home cannot be written.
    """
    registry_entry(release, sae_id).check()
    return new_transfer("registry", {"release": release, "sae_id": sae_id})


def new_transfer(
    kind: Kind, request: Mapping[str, Any], files: Path | None = None
) -> Transfer:
    """Makes the folder of a transfer that has not started.

    Args:
        files: a folder that becomes the transfer's own, for an upload.

    Raises:
        MissingError: the home cannot be written.
    """
    transfer_id = new_job_id()
    path = transfers_dir() / transfer_id
    with home_errors(), staged_folder(path) as stage:
        write_json(stage / REQUEST_NAME, {"kind": kind, **request})
        write_status(stage, JobStatus("stopped"))
        if files is not None:
            files.replace(stage / FILES_NAME)
    return open_transfer(transfer_id)


def open_transfer(transfer_id: str) -> Transfer:
    """
    Raises:
        InputError: not an id at all.
        MissingError: no such transfer (any more).
        DamagedError: what it was to do cannot be read.
    """
    if not JOB_ID.fullmatch(transfer_id):
        raise InputError("transfer_unknown", id=transfer_id[:80])
    path = transfers_dir() / transfer_id
    try:
        if path.is_symlink():
            raise FileNotFoundError(path)
        request = read_json(path / REQUEST_NAME)
    except FileNotFoundError as problem:
        raise MissingError("transfer_unknown", id=transfer_id) from problem
    except (OSError, ValueError) as problem:
        raise DamagedError("transfer_damaged", id=transfer_id) from problem
    kind = request.pop("kind", None)
    if kind not in get_args(Kind):
        raise DamagedError("transfer_damaged", id=transfer_id)
    return Transfer(transfer_id, path, cast("Kind", kind), request)


def transfers() -> Listed[Transfer]:
    """All of them, newest first."""
    folder = transfers_dir()
    return listed(job_ids(folder), open_transfer, lambda each: folder / each)


def forget(transfer: Transfer) -> None:
    """Removes a transfer's folder; what it fetched or brought stays.

    Raises:
        BusyError: it is being worked on.
    """
    if transfer.status.is_working:
        raise transfer.busy_error()
    shutil.rmtree(transfer.path, ignore_errors=True)


def planned_files(transfer: Transfer) -> list[PlannedFile]:
    """What an upload brings where, in the repository's order."""
    folder = transfer.files_dir
    return sorted(
        PlannedFile(path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    )


def perform(transfer: Transfer) -> dict[str, Any]:
    """Does it, telling how far it is in the transfer's files; returns the result.

    For the process that holds the transfer's lock.

    Raises:
        TinysaeError: what went wrong.
        Stopped: somebody asked to stop.
    """
    request, reporter = transfer.request, Reporter(transfer)
    if transfer.kind == "upload":
        url = upload_files(
            transfer.files_dir,
            request["repo_id"],
            Counted(reporter, "uploading"),
            private=request["private"],
            message=request["message"],
        )
        result = {"url": url}
    else:
        result = {"sae": _fetch(transfer, reporter).id}
    write_json(transfer.path / RESULT_NAME, result)
    return result


def _fetch(transfer: Transfer, reporter: Reporter) -> SavedSAE:
    request, progress = transfer.request, Counted(reporter, "downloading")

    def fetched() -> None:
        reporter.begin("converting", 1)

    if transfer.kind == "registry":
        return import_from_registry(
            request["release"], request["sae_id"], progress, fetched
        )
    place = (request["repo_id"], request["subfolder"], request["revision"])
    return import_from_hub(*place, progress, fetched)
