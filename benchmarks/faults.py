"""What is lost when a run's worker is killed, its disk fills up, or it is stopped.

Every run is trained by the product's own worker processes, on the embedded model, with
few features and many checkpoints; one that nobody disturbs is the reference. Prints a
table and, as its last line, one JSON object:

- kills: `kill -9` of a worker, at random moments of every state, at least a quarter of
  them while an unfinished checkpoint lies on the disk; each is followed by a resume;
- disk_full: a small disk (tmpfs) that is full from one moment on, in the middle of
  training, a checkpoint, an evaluation, ...; room is made and the run resumed;
- stop_resume_cycles: Stop, then a resume;
- rows_lost: rows of the reference's curves (`metrics.jsonl`, `evals.jsonl`) that a
  disturbed run lacks, has twice, or has in another order, and rows of its own;
- resumes_failed: resumes that came to no good end; full disks that did not read as
  "failed" for want of space; SAEs that did not load after Stop;
- final_metric_gap: the largest relative difference between a disturbed run's last
  figures (four of `eval.json` and the last row of the curve) and the reference's;
- first_point_s: from the call that starts a run of the untouched preset "look" to the
  first row of its curve, with a worker that waits for it, as it does some seconds after
  the training page was opened; the median of three, the slowest beside it;
- first_point_cold_s: the same without such a worker, as on the command line;
- stop_s: from the request to a status that is final and a lock that is free; median,
  the slowest beside it;
- status_right_s: the longest that a status was wrong: from the kill until it says
  "interrupted", or from the moment the disk is full until it says "failed".

The figures of `benchmarks/page_cost.py` are joined to these. Needs Linux, root (to
mount a tmpfs), requirements-dev.txt and a Chromium. Figures of time want a machine that
does nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from benchmarks import page_cost
from benchmarks.common import measuring, options, print_last, row, spread
from benchmarks.disturbances import (
    CONFIG,
    FULL_AT,
    full_disk,
    killed_runs,
    small_disk,
    stopped_run,
)
from benchmarks.kept import Curves, Findings
from benchmarks.own_workers import ended, home_at, wait_for, worker_of
from tinysae.jobs import launch, ready
from tinysae.presets import PRESETS
from tinysae.runs.metrics import read_metrics
from tinysae.runs.store import start_run

SOURCES = [
    "benchmarks/faults.py",
    "benchmarks/disturbances.py",
    "tinysae/jobs/*.py",
    "tinysae/runs/*.py",
    "tinysae/worker/*.py",
    "tinysae/sae/train.py",
    "tinysae/sae/training_state.py",
]
(LOOK,) = (preset.config for preset in PRESETS if preset.key == "look")
N_FIRST_POINTS = 3


def main() -> int:
    # What was started ends with this, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    parser = argparse.ArgumentParser(description="What a run loses, whatever happens.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--disk-full", type=int, default=3)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--seed", type=int, help="of the moments; else any")
    chosen, variant = options(parser, free=["seed"])
    seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
    with measuring("faults", SOURCES, seed=seed, variant=variant) as figures:
        figures |= measured(chosen, random.Random(seed))
    print_last(figures | page_cost.measured())
    return 0


def measured(chosen: argparse.Namespace, rng: random.Random) -> dict[str, float]:
    """The figures of the module's docstring; prints the table."""
    out = Findings()
    with tempfile.TemporaryDirectory(prefix="tinysae-faults-") as name:
        folder = Path(name)
        with home_at(folder / "home"):
            run = start_run(CONFIG)
            seconds = wait_for(lambda: ended(run), "the reference")
            if run.status.state != "done":
                raise RuntimeError(run.log_path.read_text())
            reference = Curves.of(run)
            rows, evals = len(reference.rows), len(reference.evals)
            row("reference, s", f"{seconds:.1f}", f"{rows} rows, {evals} looks")
            points: list[float] = []
            cold: list[float] = []
            for _ in range(N_FIRST_POINTS):
                points.append(first_point_of_ready())
                cold.append(first_point())
            row("first point, s", f"{median(points):.2f}", spread(points))
            row("  no worker ready", f"{median(cold):.2f}", spread(cold))
            killed_runs(chosen.kills, reference, rng, out)
            if chosen.cycles:
                stopped_run(chosen.cycles, reference, rng, out)
        if chosen.disk_full:
            home = folder / "home-small"
            with small_disk(home), home_at(home):
                for n in range(chosen.disk_full):
                    place = FULL_AT[n % len(FULL_AT)]
                    while not full_disk(place, home, reference, rng, out):
                        pass
    stops = out.stop_s or [0.0]
    figures = {
        "kills": out.kills.total(),
        "disk_full": chosen.disk_full,
        "stop_resume_cycles": len(out.stop_s),
        "rows_lost": out.rows_lost,
        "resumes_failed": out.resumes_failed,
        "final_metric_gap": out.gap,
        "first_point_s": round(median(points), 2),
        "first_point_slowest_s": round(max(points), 2),
        "first_point_cold_s": round(median(cold), 2),
        "first_point_cold_slowest_s": round(max(cold), 2),
        "stop_s": round(median(stops), 2),
        "stop_slowest_s": round(max(stops), 2),
        "status_right_s": round(max(out.status_s, default=0), 3),
    }
    row("kills", figures["kills"], ", ".join(f"{n} {p}" for p, n in out.kills.items()))
    row("full disks", chosen.disk_full)
    row("stops", len(out.stop_s), f"each an SAE; s: {spread(out.stop_s)}")
    row("rows lost", out.rows_lost, f"{out.n_runs} runs")
    row("resumes failed", out.resumes_failed)
    row("final metric gap", out.gap, f"{out.n_identical} the same to the last bit")
    row("status right after, s", figures["status_right_s"], spread(out.status_s, 3))
    return figures


def first_point_of_ready() -> float:
    """`first_point` of a run that a worker waits for."""
    launch.make_ready()
    waiting = ready.waiting_process()
    if waiting is None:
        raise RuntimeError("no worker waits: memory is short")
    process = psutil.Process(waiting)

    def is_idle() -> bool:
        before = process.cpu_times()
        time.sleep(0.5)
        return process.cpu_times() == before

    wait_for(is_idle, "the worker's libraries")
    return first_point(waiting)


def first_point(worker: int | None = None) -> float:
    """Seconds from the call to the first row, with the default preset.

    worker: its process, where that is there before the call.
    """
    started = time.monotonic()
    run = start_run(LOOK)
    wait_for(lambda: read_metrics(run.metrics_path).rows, "the first row")
    seconds = time.monotonic() - started
    os.kill(worker or worker_of(run), signal.SIGKILL)
    wait_for(lambda: ended(run), "the end")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
