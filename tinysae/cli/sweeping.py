"""`python -m tinysae sweep`: one training for every point of a grid of settings."""

import argparse
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.cli.arguments import Commands
from tinysae.cli.job_here import add_lock_option, do_here
from tinysae.cli.output import counted, say, write_line
from tinysae.cli.training import add_all_settings, asked_settings, chosen_settings
from tinysae.config import TrainConfig
from tinysae.errors import InputError
from tinysae.jobs.work import log_to_stderr
from tinysae.runs.axes import (
    MAX_POINTS,
    Axes,
    names_hooks,
    points_of,
    seeds,
    values_of,
    with_hooks,
)
from tinysae.runs.experience import experience
from tinysae.runs.store import list_runs, open_run
from tinysae.runs.sweep import (
    COMMAND,
    Sweep,
    create_sweep,
    list_sweeps,
    open_sweep,
    read_plan,
    streams,
)

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

    Load = Callable[[str], LoadedModel]

OVER_HELP = (
    "a setting and its values, “l1_coefficient=1,2,5,10”; a range is “1..16 x2” (by a "
    "factor), “100..500 +100” (by steps) or “0.5..8 in 5” (so many, by equal ratios); "
    "“hook_name=blocks.*.hook_mlp_out” is every layer's; once for each setting"
)


def add_commands(commands: Commands) -> None:
    """Adds `sweep` to the parser's commands."""
    sweep = commands.add_parser(
        COMMAND,
        help="train an SAE for every combination of some settings' values",
        description=f"At most {MAX_POINTS} trainings, each an ordinary run. Those that "
        "read the same text alike are trained side by side: it is read once, by one "
        "forward of the model for all hooks.",
    )
    sweep.add_argument("sweep", nargs="?", help="a sweep to go on with, by its id")
    sweep.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="SETTING=VALUES",
        help=OVER_HELP,
    )
    sweep.add_argument("--seeds", type=int, help="so many seeds of each")
    sweep.add_argument("--file", type=Path, help="JSON with “base” and “axes”")
    sweep.add_argument("--start-from", metavar="RUN", help="a run's settings as base")
    sweep.add_argument("--dry-run", action="store_true", help="only say what it takes")
    sweep.add_argument("--list", action="store_true", help="list the sweeps")
    add_all_settings(sweep)
    add_lock_option(sweep)
    sweep.set_defaults(command=_sweep)


def _sweep(options: argparse.Namespace) -> int:
    if options.list:
        return _list()
    if options.sweep:
        sweep = open_sweep(options.sweep)
    else:
        base, axes = _announced(options)
        if options.dry_run:
            return 0
        sweep = create_sweep(base, axes)
    log_to_stderr()
    with _stopped_by_a_key(sweep):
        return _work_here(sweep, options.lock_fd)


def _announced(options: argparse.Namespace) -> tuple[TrainConfig, Axes]:
    """What was asked for, once it is said what that will take."""
    # Patterns and the estimate share a model, which is let go before the training.
    load = _loads_once()
    base, axes = _plan(options, load)
    write_line(_expected(base, points_of(base, axes), load))
    return base, axes


def _loads_once() -> "Load":
    """Loads a model when it is first asked for."""

    @cache
    def load(source: str) -> "LoadedModel":
        from tinysae.model.sources import load_model

        return load_model(source)

    return load


def _plan(options: argparse.Namespace, load: "Load") -> tuple[TrainConfig, Axes]:
    """What was asked for: the file's, and on top of it what was typed."""
    axes: dict[str, Any] = {}
    if options.file is not None:
        base, in_file = read_plan(options.file)
        axes |= in_file
        base = replace(base, **chosen_settings(options))
    elif options.start_from:
        base = replace(open_run(options.start_from).config, name="")
        base = replace(base, **chosen_settings(options))
    else:
        base = TrainConfig(**asked_settings(options))
    for each in options.over:
        name, equals, values = each.partition("=")
        if not equals:
            raise InputError("sweep_value", field=name[:80], value="")
        name = name.strip().replace("-", "_")
        axes[name] = values_of(name, values)
    if options.seeds is not None:
        axes["seed"] = seeds(base, options.seeds)
    for name, values in axes.items():
        if names_hooks(name, values):
            axes[name] = with_hooks(values, load(base.model_name).hook_widths)
    return base, axes


def _expected(base: TrainConfig, points: list[TrainConfig], load: "Load") -> str:
    """What the sweep will take, in one line."""
    from tinysae.model.cores import busy_cores
    from tinysae.sae.estimate import measure
    from tinysae.sae.estimate_sweep import deepest, estimate_sweep

    model, parties = load(base.model_name), streams(points)
    guess = estimate_sweep(
        parties,
        measure(model, deepest(points, list(model.hook_widths)).hook_name),
        lambda config: model.hook_widths.get(config.hook_name, model.d_model),
        model.n_parameters,
        times=experience(list_runs(), base.architecture).times,
        others=busy_cores(),
    )
    low, high = (f"{seconds / 60:,.1f}" for seconds in guess.seconds)
    read = "once" if len(parties) == 1 else f"{len(parties)} times"
    return (
        f"{len(points)} trainings, whose activations are read {read}: {low}–{high} "
        f"minutes, {guess.memory_bytes / 1e9:.1f} GB of memory, "
        f"{guess.disk_bytes / 1e9:.2f} GB on the disk; each is indexed after that"
    )


def _work_here(sweep: Sweep, lock_fd: int | None) -> int:
    from tinysae.worker import sweep as life
    from tinysae.worker.points import Points

    def beside() -> str:
        states = [run.status.state for run in sweep.points()]
        return f"{states.count('done')} of {counted(len(states), 'point')} done"

    with Points(sweep) as points:
        return do_here(
            sweep, lock_fd, lambda _: life.work(points), points.wait_for_turn, beside
        )


@contextmanager
def _stopped_by_a_key(sweep: Sweep) -> Generator[None]:
    """Ctrl-C asks all points to stop and keep what they have; a second one is not so
    patient."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        sweep.request_stop()
        say(
            "stopping; what was learnt is kept. "
            f"Go on with: python -m tinysae {COMMAND} {sweep.id}"
        )

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _list() -> int:
    for sweep in list_sweeps():
        states = [run.status.state for run in sweep.points()]
        done = f"{states.count('done')}/{len(states)}"
        state = sweep.status.state
        write_line(f"{sweep.id}  {state:<12} {done:>5}  {sweep.title}")
    return 0
