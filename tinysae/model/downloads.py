"""Downloads of models: started by a page or a command, done by `model.fetch`.

A download is a job in `<home>/downloads/<id>/`. What arrived stays where Hugging Face
keeps it, and the next download of the model goes on there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from tinysae.errors import BusyError
from tinysae.jobs.files import make_folder
from tinysae.jobs.home import home, home_errors
from tinysae.jobs.job import Job
from tinysae.jobs.launch import HUB_KEYS, launch
from tinysae.jobs.status import State
from tinysae.model.names import checked_hub_name

# The command that does it (`cli.fetching`).
COMMAND = "fetch-model"
MAX_TITLE = 200


@dataclass(frozen=True)
class Download(Job):
    """The download of one model; its folder is made when it is first started.

    Attributes:
        source: what settings and links call the model.
    """

    source: str

    unsaid: ClassVar[State] = "new"
    # Bytes that arrived are there for the next attempt.
    counts_last: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return self.source[:MAX_TITLE]

    @property
    def argument(self) -> str:
        return self.source

    @property
    def keys(self) -> tuple[str, ...]:
        return HUB_KEYS

    def busy_error(self) -> BusyError:
        return BusyError("download_busy", model=self.title)


def download_of(source: str) -> Download:
    """The download of `source`, started or not.

    Raises:
        InputError: it is not a name of the hub.
    """
    name = checked_hub_name(source)
    text = f"{name.repo_id}@{name.revision}"
    download_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Download(download_id, home() / "downloads" / download_id, source)


def start_download(source: str) -> None:
    """Starts to download `source`, or goes on with it, in a process of its own.

    Raises:
        InputError: from `download_of`.
        BusyError: somebody is at it already.
        MissingError: the home folder cannot be written.
    """
    download = download_of(source)
    with home_errors():
        make_folder(download.path)
    launch(download, COMMAND)


def stop_download(source: str) -> None:
    """Asks the download of `source` to end; what arrived stays.

    Raises:
        InputError: from `download_of`.
    """
    download_of(source).request_stop()
