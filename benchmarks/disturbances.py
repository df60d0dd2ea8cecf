"""Ways to disturb a run at a moment of its life: a kill, Stop, a disk that is full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path
from shutil import rmtree
from typing import Literal, NamedTuple

from benchmarks.common import row
from benchmarks.kept import Curves, Findings, compare
from benchmarks.own_workers import (
    ended,
    kill_own_workers,
    stat,
    wait_for,
    worker_of,
)
from tinysae.config import TrainConfig
from tinysae.jobs.launch import launch, request_stop, start
from tinysae.runs.store import Run
from tinysae.sae.load import load_sae

CONFIG = TrainConfig(
    d_sae=256,
    k=16,
    training_tokens=300 * 1024,
    train_batch_size_tokens=1024,
    n_batches_for_norm_estimate=100,
    # One every six steps, with an SAE each: there is always one to fall into.
    n_checkpoints=49,
)
FULL_S = 60
# About what writing a checkpoint of CONFIG takes.
CHECKPOINT_S = 0.01
# A run of CONFIG, whose checkpoints stay, takes half of it.
DISK_BYTES = 256 << 20
BLOCK = 4096

Place = Literal["starting", "norm", "training", "checkpoint", "evaluating", "indexing"]
# Every beginning of it has a quarter of checkpoints at least.
KILLS_A_RUN: tuple[Place, ...] = (
    *("checkpoint", "norm", "training", "indexing"),
    *("checkpoint", "evaluating", "training", "starting"),
    *("checkpoint", "training"),
)
FULL_AT: list[Place] = ["training", "checkpoint", "evaluating", "indexing", "norm"]
LIFE = ("starting", "norm", "training", "evaluating", "indexing", "labelling")
# How long a state without counted work lasts, and how old a status may be.
JITTER_S = {"starting": 2.0}
STATUS_AGE_S = 0.4


class Moment(NamedTuple):
    """A place in a run's life."""

    place: Place
    share: float
    """How much of the state's work is done, from 0 to 1."""

    @property
    def order(self) -> tuple[int, float]:
        return LIFE.index(self.state), self.share

    @property
    def state(self) -> str:
        return "training" if self.place == "checkpoint" else self.place


def unfinished(run: Run) -> bool:
    """Whether a checkpoint is being written."""
    with suppress(OSError):
        return any(name.startswith(".") for name in os.listdir(run.checkpoints_dir))
    return False


def reach(run: Run, moment: Moment, rng: random.Random) -> bool:
    """Waits for the moment; False when the run ended first."""

    def is_there() -> bool:
        status = run.status
        if status.state == moment.state:
            return status.share >= moment.share
        return status.state in LIFE[LIFE.index(moment.state) + 1 :]

    wait_for(lambda: is_there() or ended(run), moment.place)
    time.sleep(rng.uniform(0, JITTER_S.get(moment.place, STATUS_AGE_S)))
    return not ended(run)


@contextmanager
def frozen_in_checkpoint(run: Run, pid: int, rng: random.Random) -> Iterator[bool]:
    """The worker stands still in the middle of a checkpoint; False: there was none."""
    while True:
        wait_for(lambda: unfinished(run) or run.status.state != "training", "a write")
        time.sleep(rng.uniform(0, CHECKPOINT_S))
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: stat(pid)[0] in "TtZ", "the worker to stand still")
        is_in = unfinished(run)
        if is_in or run.status.state != "training":
            break
        os.kill(pid, signal.SIGCONT)
    try:
        yield is_in
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def kill(run: Run, place: Place, rng: random.Random, out: Findings) -> None:
    """Kills the run's worker and times its status."""
    pid = worker_of(run)
    state: str = run.status.state
    if place == "checkpoint":
        with frozen_in_checkpoint(run, pid, rng) as is_in:
            if not is_in:
                # The run has written its last one: another run will make up for it.
                return
            os.kill(pid, signal.SIGKILL)
            state = place
    else:
        os.kill(pid, signal.SIGKILL)
    out.status_s.append(wait_for(lambda: run.status.state == "interrupted", "a status"))
    out.kills[state] += 1
    launch(run, "train")


def moments(places: Iterable[Place], rng: random.Random) -> list[Moment]:
    """The places at random moments, in the order in which a run comes by them."""
    # Not at the very end, where the moment would have passed before it is seen.
    chosen = [
        Moment(place, 0.0 if place == "starting" else rng.uniform(0.0, 0.9))
        for place in places
    ]
    return sorted(chosen, key=lambda moment: moment.order)


def end_well(run: Run, reference: Curves, findings: Findings) -> None:
    wait_for(lambda: ended(run), "the end")
    if run.status.state == "done":
        compare(run, reference, findings)
    else:
        findings.failed(run, "did not end well")


def killed_runs(n: int, reference: Curves, rng: random.Random, out: Findings) -> None:
    while (left := n - out.kills.total()) > 0:
        run = start(CONFIG)
        try:
            for moment in moments(KILLS_A_RUN[:left], rng):
                if not reach(run, moment, rng):
                    break
                kill(run, moment.place, rng, out)
            end_well(run, reference, out)
        except TimeoutError as problem:
            out.failed(run, str(problem))
            kill_own_workers()
        row("killed so far", out.kills.total(), run.id)


def stopped_run(n: int, reference: Curves, rng: random.Random, out: Findings) -> None:
    """Stops one run again and again: while it trains and once while it is measured."""
    places: list[Place] = ["evaluating", *repeat("training", n - 1)]
    run = start(CONFIG)
    for moment in moments(places, rng):
        if not reach(run, moment, rng):
            break
        started = time.monotonic()
        request_stop(run)
        wait_for(lambda: ended(run), "the stop")
        out.stop_s.append(time.monotonic() - started)
        try:
            load_sae(run.sae_dir)
        except Exception as problem:
            out.failed(run, f"no SAE after a stop: {problem}")
        launch(run, "train")
    end_well(run, reference, out)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A tmpfs in `folder`."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tinysae-faults"]
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"no small disk, so no full one: {done.stderr.strip()}")
    try:
        yield
    finally:
        kill_own_workers()
        wait_for(lambda: _unmounted(folder), "umount", 30)


def _unmounted(folder: Path) -> bool:
    return not subprocess.run(["umount", folder], capture_output=True).returncode


def fill(ballast: Path) -> None:
    """Takes all the space there is on the disk of `ballast`."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        free = os.statvfs(ballast)
        if n_bytes := free.f_bavail * free.f_frsize:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        file.seek(0, os.SEEK_END)
        while file.write(bytes(BLOCK)):
            pass


def full_disk(
    place: Place, folder: Path, reference: Curves, rng: random.Random, out: Findings
) -> bool:
    """One run whose disk is full from a moment on, and which goes on once it is not;
    False if it found room after all."""
    ballast = folder / "ballast"
    run = start(CONFIG)
    (moment,) = moments([place], rng)
    try:
        reach(run, moment, rng)
        if place == "checkpoint":
            with frozen_in_checkpoint(run, worker_of(run), rng):
                fill(ballast)
        else:
            fill(ballast)
        seconds = wait_for(lambda: ended(run), "the failure", FULL_S)
        status = run.status
        if status.state == "done":
            # An older checkpoint went just then, and its place was enough: not full.
            ballast.unlink()
            end_well(run, reference, out)
            row("full disk, made room", f"{seconds:.2f}", place)
            return False
        out.status_s.append(seconds)
        if (status.state, status.error) != ("failed", "error.home_unwritable"):
            out.failed(run, f"a full disk while {place} is not named")
        ballast.unlink()
        launch(run, "train")
        end_well(run, reference, out)
        row("full disk", f"{seconds:.2f}", f"s to {status.state}; {place}")
    except TimeoutError as problem:
        out.failed(run, f"{place}: {problem}")
        kill_own_workers()
    finally:
        ballast.unlink(missing_ok=True)
        # The checkpoints that were asked for stay, and the next run needs the space.
        rmtree(run.path)
    return True
