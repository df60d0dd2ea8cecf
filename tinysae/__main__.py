"""`python -m tinysae`: what the pages do, without a browser."""

import argparse
import json
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tinysae.cli import asking, fetching, sharing
from tinysae.cli import exploring as explore
from tinysae.cli import writing as playing
from tinysae.cli.progress_bar import progress_bar
from tinysae.config import TrainConfig, choices, settings
from tinysae.errors import InputError, TinysaeError
from tinysae.jobs.job import Job
from tinysae.jobs.turns import wait_for_turn
from tinysae.jobs.work import log_to_stderr, outcome
from tinysae.presets import PRESETS
from tinysae.runs.store import create_run, list_runs, open_run


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the process's exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except TinysaeError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinysae", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train an SAE in this terminal")
    train.add_argument("run", nargs="?", help="a run that waits to be started")
    train.add_argument("--preset", choices=[preset.key for preset in PRESETS])
    for name, setting in settings().items():
        train.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"set_{name}",
            type=_parse(name),
            choices=choices(name) or None,
            help=setting.help("en").replace("%", "%%"),
        )
    _add_lock(train)
    train.set_defaults(command=_train)

    resume = commands.add_parser("resume", help="go on with a run that was cut short")
    resume.add_argument("run")
    _add_lock(resume)
    resume.set_defaults(command=_resume)

    evaluate = commands.add_parser("evaluate", help="measure a run's SAE again")
    evaluate.add_argument("run")
    evaluate.set_defaults(command=_evaluate)

    index = commands.add_parser("index", help="collect an SAE's features")
    index.add_argument("run", help="a run, or an SAELens folder")
    index.add_argument("--model", help="what reads the folder's SAE (the one it names)")
    _add_lock(index)
    index.set_defaults(command=_index)
    explore.add_commands(commands)
    playing.add_commands(commands)
    asking.add_commands(commands)
    fetching.add_commands(commands)
    sharing.add_commands(commands)

    explain = commands.add_parser(
        "explain", help="ask a language model of your choice what features mean"
    )
    explain.add_argument("run")
    explain.add_argument("features", nargs="+", type=int, metavar="FEATURE")
    explain.add_argument("--url", required=True, help="an OpenAI-compatible API")
    explain.add_argument("--model", required=True, help="its name there")
    explain.set_defaults(command=_explain)

    runs = commands.add_parser("runs", help="list the runs and what they are doing")
    runs.set_defaults(command=_runs)

    storybook = commands.add_parser(
        "storybook", help="rebuild the embedded model and its SAE from their seeds"
    )
    storybook.add_argument(
        "--only",
        choices=["model", "sae", "post", "features"],
        help="SAEs of the model that is there (post: the second alone); or indexes of "
        "the SAEs that are there",
    )
    storybook.add_argument("--out", type=Path, help="a folder (the embedded assets)")
    storybook.add_argument("--tokens", type=int, help="how many to train the model on")
    storybook.add_argument(
        "--sae-tokens", type=int, help="how many to train the SAE on"
    )
    storybook.add_argument("--seed", type=int, default=0)
    storybook.set_defaults(command=_storybook)
    return parser


def _add_lock(parser: argparse.ArgumentParser) -> None:
    # Passed by `jobs.launch`: the job's lock, taken by the parent.
    parser.add_argument("--lock-fd", type=int, help=argparse.SUPPRESS)


def _parse(name: str) -> Any:
    default = getattr(TrainConfig(), name)
    if isinstance(default, bool):
        return lambda text: {"true": True, "false": False}.get(text.lower(), text)
    return type(default)


def _train(options: argparse.Namespace) -> int:
    from tinysae.worker import life

    changes = {
        name: value
        for name in settings()
        if (value := getattr(options, f"set_{name}")) is not None
    }
    if options.run:
        run = open_run(options.run)
    else:
        preset = next((p.changes for p in PRESETS if p.key == options.preset), {})
        run = create_run(TrainConfig(**{**preset, **changes}))
    log_to_stderr()
    return _worked(run, options.lock_fd, life.train)


def _index(options: argparse.Namespace) -> int:
    from tinysae.library.saved import add_sae, is_saved_id, saved_sae
    from tinysae.worker import life

    log_to_stderr()
    if explore.is_folder(options.run):
        saved = add_sae(options.run, options.model)
    elif is_saved_id(options.run):
        saved = saved_sae(options.run)
    else:
        return _worked(open_run(options.run), options.lock_fd, life.index)
    return _worked(saved, options.lock_fd, life.index_saved)


def _resume(options: argparse.Namespace) -> int:
    from tinysae.worker import life

    run = open_run(options.run)
    if run.status.state == "done":
        raise InputError("run_is_done", name=run.title)
    log_to_stderr()
    return _worked(run, options.lock_fd, life.train)


def _evaluate(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from tinysae.worker import finish

    run = open_run(options.run)
    # None: no bar where no terminal is.
    with tqdm(
        total=finish.EVALUATION_TOKENS, desc="evaluating", unit=" tokens", disable=None
    ) as bar:
        figures = finish.evaluate_again(run, bar.update)
    sys.stdout.write(f"{json.dumps(figures, indent=1)}\n")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from tinysae.features.names.explain import Endpoint, explain_features

    endpoint = Endpoint(options.url, options.model)
    folder = open_run(options.run).features_dir
    new = explain_features(folder, endpoint, options.features)
    for feature, label in zip(options.features, new, strict=True):
        sys.stdout.write(f"{feature}  {label.text}\n")
    return 0


def _worked(job: Job, lock_fd: int | None, work: Any) -> int:
    """Does `work` under the job's lock; 0 when it ended as it should."""
    with ExitStack() as stack:
        if lock_fd is None:
            stack.enter_context(job.locked())
        with outcome(job):
            _say(str(job.path))
            # Who started this process has done it already.
            if lock_fd is None:
                job.enqueue()
            if turn := wait_for_turn(job):
                stack.enter_context(turn)
                if sys.stderr.isatty():
                    stack.enter_context(progress_bar(job))
                work(job)
            else:
                job.say("stopped")
        status = job.status
    _say(status.state)
    return 0 if status.state in ("done", "stopped") else 1


def _say(line: str) -> None:
    # The log may lie on a full disk: that is for the status to say.
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")


def _runs(_: argparse.Namespace) -> int:
    for run in list_runs():
        status = run.status
        sys.stdout.write(
            f"{run.id}  {status.state:<12} {status.share:>4.0%}  {run.title}\n"
        )
    return 0


def _storybook(options: argparse.Namespace) -> int:
    from tinysae.embedded import build as embedded
    from tinysae.library.shipped import ASSETS

    out = options.out or ASSETS
    if options.only == "features":
        embedded.build_features(out)
        embedded.build_features(out, post=True)
        return 0
    if options.only not in ("sae", "post"):
        from tinysae.embedded.train_model import rebuild

        rebuild(out / "storybook", tokens=options.tokens, seed=options.seed)
    if options.only != "model":
        log_to_stderr()
        for post in (True,) if options.only == "post" else (False, True):
            figures = embedded.build_sae(
                out, tokens=options.sae_tokens, seed=options.seed, post=post
            )
            sys.stdout.write(f"{json.dumps(figures)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
