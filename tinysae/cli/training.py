"""`python -m tinysae train|resume|runs`: the training page without Streamlit."""

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tinysae.cli.arguments import Commands
from tinysae.cli.comparing import print_table
from tinysae.cli.job_here import add_lock_option, do_here
from tinysae.cli.output import say, write_line
from tinysae.config import TrainConfig, choices, settings
from tinysae.errors import InputError
from tinysae.jobs.files import shown_path
from tinysae.jobs.status import JobStatus
from tinysae.jobs.work import log_to_stderr
from tinysae.presets import PRESETS
from tinysae.runs.store import create_run, list_runs, open_run, runs_dir
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.library.saved import SavedSAE

# Of a run's; a saved SAE's is shorter.
ID_WIDTH = 23


def add_commands(commands: Commands) -> None:
    """Adds `train`, `resume` and `runs` to the parser's commands."""
    train = commands.add_parser("train", help="train an SAE in this terminal")
    train.add_argument("run", nargs="?", help="a run that waits to be started")
    add_all_settings(train)
    add_lock_option(train)
    train.set_defaults(command=_train)

    resume = commands.add_parser("resume", help="go on with a run that was cut short")
    resume.add_argument("run")
    add_lock_option(resume)
    resume.set_defaults(command=_resume)

    runs = commands.add_parser(
        "runs", help="list the runs, then the SAEs from elsewhere, and how they stand"
    )
    runs.add_argument(
        "--columns",
        metavar="NAMES",
        help="a table of these, with commas between: settings, figures (l0, "
        "ce_loss_score, ...), name, state, started, tags, note",
    )
    runs.add_argument("--csv", action="store_true", help="that table as CSV")
    runs.set_defaults(command=_runs)


def add_all_settings(parser: argparse.ArgumentParser) -> None:
    """Adds what `asked_settings` reads: a preset, and every setting."""
    parser.add_argument("--preset", choices=[preset.key for preset in PRESETS])
    add_settings(parser, settings())


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Adds an option for each of these settings of a run; `chosen_settings` reads
    them."""
    for name in names:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"set_{name}",
            type=_parse(name),
            choices=choices(name) or None,
            metavar=None if choices(name) else name.upper(),
            help=settings()[name].help("en").replace("%", "%%"),
        )


def chosen_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Those settings that were given."""
    return {
        name: value
        for name in settings()
        if (value := getattr(options, f"set_{name}", None)) is not None
    }


def _parse(name: str) -> Callable[[str], Any]:
    default = getattr(TrainConfig(), name)
    if isinstance(default, bool):
        return lambda text: {"true": True, "false": False}.get(text.lower(), text)
    return type(default)


def _train(options: argparse.Namespace) -> int:
    from tinysae.worker import life

    if options.run:
        run = open_run(options.run)
    else:
        run = create_run(TrainConfig(**asked_settings(options)))
    log_to_stderr()
    return do_here(run, options.lock_fd, life.train)


def asked_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, on top of the preset's, if there is one."""
    given = chosen_settings(options)
    for preset in PRESETS:
        if preset.key == options.preset:
            fit = preset.on(given["model_name"]) if "model_name" in given else preset
            return fit.changed(given)
    return given


def _resume(options: argparse.Namespace) -> int:
    from tinysae.worker import life

    run = open_run(options.run)
    if run.status.state == "done":
        raise InputError("run_is_done", name=run.title)
    log_to_stderr()
    return do_here(run, options.lock_fd, life.train)


def _runs(options: argparse.Namespace) -> int:
    from tinysae.library.saved import saved_saes

    if options.columns or options.csv:
        return print_table(options.columns, as_csv=options.csv)

    runs, saes = list_runs(), saved_saes()
    for run in runs:
        status = run.status
        write_line(_row(run.id, status.state, status, run.title))
    for saved in saes:
        status = saved.status
        write_line(_row(saved.id, _standing(saved, status), status, saved.title))
    # Not part of the list, which others may read on.
    for path, why in (*runs.unreadable, *saes.unreadable):
        folder = shown_path(path.name)
        say(text("common.left_out", "en", folder=folder, why=why.in_language("en")))
    if not (runs or saes):
        say(f"no runs in {shown_path(runs_dir())}")
    return 0


def _standing(saved: "SavedSAE", status: JobStatus) -> str:
    if status.is_working or status.state == "failed":
        return status.state
    # It was never trained here: that it "is done" or "was stopped" would say nothing.
    return "indexed" if saved.is_indexed else "not indexed"


def _row(job_id: str, state: str, status: JobStatus, title: str) -> str:
    # A state of which nothing is counted has no share: "done" is not 0 % done.
    share = f"{status.share:.0%}" if status.total else ""
    return f"{job_id:<{ID_WIDTH}}  {state:<12} {share:>4}  {title}"
