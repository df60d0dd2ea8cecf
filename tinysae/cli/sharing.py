"""`python -m tinysae import-sae|upload`: SAEs in and out, without Streamlit; and the
process of a transfer that a page started."""

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

from tinysae.cli.arguments import Commands, add_sae_argument
from tinysae.cli.job_here import add_lock_option
from tinysae.cli.output import write, write_line
from tinysae.cli.progress_bar import progress_bar
from tinysae.jobs.status import JobStatus
from tinysae.jobs.work import log_to_stderr, outcome, quits_when_asked
from tinysae.library.named_sae import is_folder
from tinysae.library.transfers import COMMAND
from tinysae.words import LANGUAGES

if TYPE_CHECKING:
    from tinysae.library.saved import SavedSAE
    from tinysae.library.transfers import Transfer


def add_commands(commands: Commands) -> None:
    """Adds `import-sae` and `upload` to the parser's commands."""
    bring = commands.add_parser("import-sae", help="take in an SAE from elsewhere")
    bring.add_argument(
        "source",
        help="a zip, an SAELens folder, a hub repository (owner/name) or, with "
        "--sae-id, a release of SAELens's list",
    )
    bring.add_argument("--sae-id", help="the SAE's id in SAELens's list")
    bring.add_argument("--subfolder", default="", help="its folder in the repository")
    bring.add_argument("--revision", default="", help="of the repository (main)")
    bring.add_argument("--model", help="what reads a zip's or folder's SAE")
    bring.set_defaults(command=_import)

    upload = commands.add_parser("upload", help="bring an SAE to the hub")
    add_sae_argument(upload)
    upload.add_argument("repo", help="owner/name; made if it is not there, private")
    upload.add_argument("--dry-run", action="store_true", help="only say what would go")
    upload.add_argument("--public", action="store_true", help="if it is made: for all")
    upload.add_argument("--folder", default="", help="in the repository (the hook)")
    upload.add_argument("--licence", default="mit", help="for the model card")
    upload.add_argument("--no-dashboard", action="store_true")
    upload.add_argument("--language", choices=LANGUAGES, default="en")
    upload.set_defaults(command=_upload)


def add_worker_commands(commands: Commands) -> None:
    """Adds the command of a transfer's process."""
    transfer = commands.add_parser(COMMAND)
    transfer.add_argument("transfer")
    add_lock_option(transfer)
    transfer.set_defaults(command=_transfer)


def _import(options: argparse.Namespace) -> int:
    from tinysae.library.transfers import fetch_from_hub, fetch_from_registry

    if options.sae_id:
        return _done_here(fetch_from_registry(options.source, options.sae_id))
    if (saved := _from_this_machine(options)) is not None:
        write_line(saved.id)
        return 0
    place = (options.source, options.subfolder, options.revision)
    return _done_here(fetch_from_hub(*place))


def _from_this_machine(options: argparse.Namespace) -> "SavedSAE | None":
    from tinysae.library.imports import import_zip_at, is_zip
    from tinysae.library.saved import add_sae

    if is_zip(options.source):
        return import_zip_at(options.source, options.model)
    # “owner/name” is a folder only where there is one.
    if is_folder(options.source):
        return add_sae(options.source, options.model)
    return None


def _upload(options: argparse.Namespace) -> int:
    from tinysae.library.named_sae import named_sae
    from tinysae.library.share import plan_upload, planned_card
    from tinysae.library.transfers import forget, planned_files

    plan = plan_upload(
        named_sae(options.sae),
        options.repo,
        folder=options.folder,
        private=not options.public,
        licence=options.licence,
        with_dashboard=not options.no_dashboard,
        language=options.language,
    )
    for file in planned_files(plan):
        where = f"{plan.request['repo_id']}/{file.path}"
        write_line(f"{file.size:>13,}  {where}")
    if options.dry_run:
        write(f"\n{planned_card(plan)}")
        forget(plan)
        return 0
    return _done_here(plan)


def _done_here(transfer: "Transfer") -> int:
    """Does a transfer in this process, with a bar where a terminal is."""
    bar = progress_bar(transfer) if sys.stderr.isatty() else nullcontext()
    with transfer.locked(), bar:
        status = _perform(transfer)
    for value in transfer.result().values():
        write_line(str(value))
    return 0 if status.state == "done" else 1


def _transfer(options: argparse.Namespace) -> int:
    from tinysae.library.transfers import open_transfer

    # The lock is inherited: it is held for as long as this process lives.
    log_to_stderr()
    status = _perform(open_transfer(options.transfer))
    return 0 if status.state in ("done", "stopped") else 1


def _perform(transfer: "Transfer") -> JobStatus:
    """Does it and says how it went; returns its last word."""
    from tinysae.library.transfers import perform

    with outcome(transfer):
        transfer.say("starting")
        # Whoever stops it waits for no server; what was fetched is there next time.
        with quits_when_asked(transfer):
            perform(transfer)
        transfer.say("done")
    return transfer.status
