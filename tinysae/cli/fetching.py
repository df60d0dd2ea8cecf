"""The commands that list, download and pin models."""

import argparse
import time
from typing import Any

from tinysae.cli.arguments import Commands
from tinysae.cli.job_here import add_lock_option
from tinysae.cli.output import write_line
from tinysae.errors import InputError, TinysaeError
from tinysae.jobs.status import JobStatus
from tinysae.jobs.work import log_to_stderr, outcome
from tinysae.model.catalogue import CATALOGUE, entry_of, write_pin
from tinysae.model.downloads import (
    COMMAND,
    download_of,
    start_download,
    stop_download,
)
from tinysae.model.sources import is_at_hand
from tinysae.words import text

LOOK_EVERY_S = 0.3


def add_commands(commands: Commands) -> None:
    """Adds `models`, `download` and `pin` to the parser's commands."""
    models = commands.add_parser("models", help="list models that are known to work")
    models.set_defaults(command=_models)

    download = commands.add_parser("download", help="download a model of the hub")
    download.add_argument("model", help="a name of the list, or owner/name[@revision]")
    download.set_defaults(command=_download)

    pin = commands.add_parser(
        "pin", help="trust the pickle that a model of the list has on the hub today"
    )
    pin.add_argument("model", help="a name of the list")
    pin.set_defaults(command=_pin)


def add_worker_commands(commands: Commands) -> None:
    """Adds the command of a download's process."""
    fetch = commands.add_parser(COMMAND)
    fetch.add_argument("model")
    add_lock_option(fetch)
    fetch.set_defaults(command=_fetch)


def _models(_: argparse.Namespace) -> int:
    for entry in CATALOGUE:
        place = "here" if is_at_hand(entry.source) else f"{entry.megabytes} MB"
        write_line(
            f"{entry.source:<28} {entry.n_parameters / 1e6:6.1f}M  "
            f"{entry.licence or '-':<10}  {place:>7}  "
            f"{text(f'models.for_{entry.key}', 'en')}"
        )
    return 0


def _download(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    start_download(options.model)
    with tqdm(unit="B", unit_scale=True) as bar:
        try:
            while (status := download_of(options.model).status).is_working:
                _show(bar, status)
                time.sleep(LOOK_EVERY_S)
            _show(bar, status)
        except KeyboardInterrupt:
            stop_download(options.model)
            return 130
    if status.error is not None:
        key = status.error.removeprefix("error.")
        raise TinysaeError(key, **(status.error_values or {}))
    return 0 if status.state == "done" else 1


def _show(bar: Any, status: JobStatus) -> None:
    bar.total, bar.n = status.total, status.done
    bar.set_description_str(status.state)


def _fetch(options: argparse.Namespace) -> int:
    """The process of a download; its lock is inherited."""
    from tinysae.model.fetch import fetch

    log_to_stderr()
    download = download_of(options.model)
    with outcome(download, "unexpected"):
        fetch(download)
    return 0 if download.status.state in ("done", "stopped") else 1


def _pin(options: argparse.Namespace) -> int:
    from tinysae.model.fetch import ask_for_pin

    entry = entry_of(options.model)
    if entry is None or entry.repo_id is None:
        raise InputError("pin_unlisted", model=options.model)
    pin = ask_for_pin(entry.repo_id)
    write_pin(entry.repo_id, pin)
    write_line(f"{entry.repo_id} {pin.revision} {pin.sha256}")
    return 0
