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
  first row of its curve; the median of three;
- stop_s: from the request to a status that is final and a lock that is free; median;
- page_cost_share: the share of the machine that a live page takes from the trainer on
  the server's side: the server's CPU seconds (user and system, all threads, without
  children) over cores x wall seconds while a browser shows the run's curves, less the
  same server's share while nobody looks; windows of both, alternated in one training.
  The browser's CPU is printed beside it, and so is what the trainer lost to both;
- status_right_s: the longest that a status was wrong: from the kill until it says
  "interrupted", or from the moment the disk is full until it says "failed".

Needs Linux, root (to mount a tmpfs), requirements-dev.txt and a Chromium. Figures of
time want a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise, repeat
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any, Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import Server, launch_chromium, start_server, visit
from tests.browser.test_main_job import LOADED_MS, expect_curves
from tinysae.config import TrainConfig
from tinysae.jobs.launch import launch
from tinysae.jobs.lock import is_locked
from tinysae.presets import PRESETS
from tinysae.runs.metrics import TIMES, read_metrics
from tinysae.runs.store import Run, start_run
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
(LOOK,) = (preset.config for preset in PRESETS if preset.key == "look")
# For a machine that others use as well.
PATIENCE_S = 300
LOOK_EVERY_S = 0.003
FULL_S = 60
# About what writing a checkpoint of CONFIG takes.
CHECKPOINT_S = 0.01
N_FIRST_POINTS = 3
# A run of CONFIG, whose checkpoints stay, takes half of it.
DISK_BYTES = 256 << 20
BLOCK = 4096
N_WINDOWS, WINDOW_S = 3, 10
# Of a training that is watched, and killed after that.
ENDLESS_TOKENS = 100_000_000
QUIET_CPU_S = 0.03
LAST_POINT = "document.querySelector('.js-plotly-plot').data[0].x.at(-1)"
FIGURES = ("ce_loss_score", "l0", "explained_variance", "mse")

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


@dataclass
class Findings:
    """What went wrong, over all the disturbed runs."""

    rows_lost: int = 0
    resumes_failed: int = 0
    gap: float = 0.0
    n_runs: int = 0
    n_identical: int = 0
    status_s: list[float] = field(default_factory=list)
    stop_s: list[float] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def failed(self, run: Run, why: str) -> None:
        self.resumes_failed += 1
        print(f"!! {run.id}: {why}; it is {run.status}", flush=True)
        with suppress(OSError):
            print(*run.log_path.read_text().splitlines()[-12:], sep="\n", flush=True)


class Curves(NamedTuple):
    """What a run that is done leaves behind to be compared."""

    rows: list[dict[str, Any]]
    evals: list[dict[str, Any]]
    figures: dict[str, float]

    @classmethod
    def of(cls, run: Run) -> Curves:
        rows = _rows(run.metrics_path)
        figures = run.evaluation() or {}
        return cls(
            # Time passes as it likes.
            [{k: v for k, v in row.items() if k not in TIMES} for row in rows],
            _rows(run.evals_path),
            {name: float(figures.get(name, "nan")) for name in FIGURES},
        )


def _rows(path: Path) -> list[dict[str, Any]]:
    """All lines, those that the product would pass over as a step of their own."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            rows.append({"step": -1, **json.loads(line)})
        except (ValueError, TypeError):
            rows.append({"step": -1})
    return rows


def n_lost(rows: list[dict[str, Any]], reference: list[dict[str, Any]]) -> int:
    """Rows missing, doubled, unknown or out of order."""
    steps = [row["step"] for row in rows]
    found, wanted = Counter(steps), Counter(row["step"] for row in reference)
    differing = (found - wanted) + (wanted - found)
    return differing.total() + sum(later < one for one, later in pairwise(steps))


def relative_gap(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    gaps = [0.0]
    for name, value in theirs.items():
        apart = abs(ours.get(name, float("inf")) - value)
        gaps.append(apart / max(abs(value), 1e-12) if apart else 0.0)
    # NaN is not larger than anything: a missing figure must not read as no gap.
    return max(float("inf") if gap != gap else gap for gap in gaps)


def compare(run: Run, reference: Curves, findings: Findings) -> None:
    curves = Curves.of(run)
    findings.n_runs += 1
    findings.n_identical += curves == reference
    for ours, theirs in (
        (curves.rows, reference.rows),
        (curves.evals, reference.evals),
    ):
        findings.rows_lost += n_lost(ours, theirs)
    last = curves.rows[-1] if curves.rows else {}
    findings.gap = max(
        findings.gap,
        relative_gap(curves.figures, reference.figures),
        relative_gap(last, reference.rows[-1]),
    )


def wait_for(
    condition: Callable[[], Any], what: str, patience: float = PATIENCE_S
) -> float:
    """Waits until `condition` holds; returns the seconds that took.

    Raises:
        TimeoutError: it did not.
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > patience:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(LOOK_EVERY_S)
    return time.monotonic() - started


def ended(run: Run) -> bool:
    return not run.status.is_working and not is_locked(run.path)


def processes() -> dict[int, tuple[int, list[bytes]]]:
    """Of every process: its parent and the words of its command."""
    found: dict[int, tuple[int, list[bytes]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parent = int(_stat(int(entry.name))[1])
                words = (entry / "cmdline").read_bytes().split(b"\0")
                found[int(entry.name)] = (parent, words)
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: state, parent, ..."""
    # A command may have spaces and brackets in its name.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, all its threads, without its children."""
    user, system = _stat(pid)[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def own_workers() -> dict[int, list[bytes]]:
    """Workers that this process started: nobody else's are ever touched."""
    return {
        pid: words
        for pid, (parent, words) in processes().items()
        if parent == os.getpid() and b"tinysae" in words and b"--lock-fd" in words
    }


def worker_of(run: Run) -> int:
    """The run's worker, as soon as there is one."""
    found: list[int] = []

    def look() -> bool:
        found[:] = [pid for pid, w in own_workers().items() if run.id.encode() in w]
        return bool(found)

    wait_for(look, "the worker")
    return found[0]


def kill_own_workers() -> None:
    for pid in own_workers():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def home_at(folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    os.environ["TINYSAE_HOME"] = str(folder)
    try:
        yield
    finally:
        kill_own_workers()


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
        wait_for(lambda: _stat(pid)[0] in "TtZ", "the worker to stand still")
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
        run = start_run(CONFIG)
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
    run = start_run(CONFIG)
    for moment in moments(places, rng):
        if not reach(run, moment, rng):
            break
        started = time.monotonic()
        run.request_stop()
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
    run = start_run(CONFIG)
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


def first_point() -> float:
    """Seconds from the call to the first row, with the default preset."""
    started = time.monotonic()
    run = start_run(LOOK)
    wait_for(lambda: read_metrics(run.metrics_path).rows, "the first row")
    seconds = time.monotonic() - started
    os.kill(worker_of(run), signal.SIGKILL)
    wait_for(lambda: ended(run), "the end")
    return seconds


class Window(NamedTuple):
    """What was used in some seconds, each per second of them."""

    server: float
    browser: float
    tokens: float


def window(run: Run, server: Server, wait: Callable[[float], object]) -> Window:
    def now() -> tuple[float, float, float, int]:
        rows = read_metrics(run.metrics_path).rows
        browser = 0.0
        for pid in _browser(server):
            with suppress(OSError):
                browser += cpu_s(pid)
        return (
            *(time.monotonic(), cpu_s(server.process.pid), browser),
            rows[-1]["n_tokens"],
        )

    before = now()
    wait(WINDOW_S)
    wall, *used = (b - a for a, b in zip(before, now(), strict=True))
    return Window(*(value / wall for value in used))


def _browser(server: Server) -> list[int]:
    """The processes below this one that are neither the server nor a worker."""
    everything = processes()
    others = {server.process.pid, *own_workers()}

    def is_below(pid: int) -> bool:
        while pid in everything and pid not in others:
            pid = everything[pid][0]
            if pid == os.getpid():
                return True
        return False

    return [pid for pid in everything if pid not in others and is_below(pid)]


def page_cost(browser: Browser, folder: Path) -> tuple[list[Window], list[Window]]:
    """Windows of one training: with a live page, and with nobody looking."""
    live: list[Window] = []
    alone: list[Window] = []
    home = folder / "home-page"
    server = start_server(home, folder / "server.log")
    try:
        with home_at(home):
            # As by default, but with more to learn than the windows last.
            run = start_run(replace(LOOK, training_tokens=ENDLESS_TOKENS))
            wait_for(lambda: read_metrics(run.metrics_path).rows, "the first row")
            for _ in range(N_WINDOWS + 1):
                # The first pair does not count: the server imports, the run has begun.
                wait_for(lambda: _is_quiet(server), "a server that rests")
                alone.append(window(run, server, time.sleep))
                with visit(browser) as reader:
                    page = reader.page
                    page.goto(f"{server.url}/train?run={run.id}", timeout=LOADED_MS)
                    expect_curves(page)
                    last = page.evaluate(LAST_POINT)
                    live.append(window(run, server, _waiting(page)))
                    if page.evaluate(LAST_POINT) <= last:
                        raise RuntimeError("the page does not follow the run")
                if not run.status.is_working:
                    raise RuntimeError("the training ended before the last window")
    finally:
        kill_own_workers()
        server.stop()
    return live[1:], alone[1:]


def _waiting(page: Page) -> Callable[[float], None]:
    """Lets so many seconds pass; Playwright goes on with its work meanwhile."""
    return lambda seconds: page.wait_for_timeout(seconds * 1000)


def _is_quiet(server: Server) -> bool:
    """Whether the server does next to nothing for a second."""
    before = cpu_s(server.process.pid)
    time.sleep(1)
    return cpu_s(server.process.pid) - before <= QUIET_CPU_S


def row(name: str, value: object, remark: str = "") -> None:
    load = os.getloadavg()[0]
    print(f"{name:28} {value!s:>10}   load {load:4.1f}   {remark}", flush=True)


def spread(values: Iterable[float], digits: int = 2) -> str:
    return " ".join(f"{value:.{digits}f}" for value in sorted(values))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a run loses, whatever happens.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--disk-full", type=int, default=3)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--seed", type=int, help="of the moments; else any")
    return parser.parse_args()


def main() -> int:
    # What was started ends with this, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    chosen = options()
    seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
    rng, out = random.Random(seed), Findings()
    row("cores", os.cpu_count() or 0, f"load: of the last minute; --seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-faults-") as name,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        with home_at(folder / "home"):
            run = start_run(CONFIG)
            seconds = wait_for(lambda: ended(run), "the reference")
            if run.status.state != "done":
                raise RuntimeError(run.log_path.read_text())
            reference = Curves.of(run)
            rows, evals = len(reference.rows), len(reference.evals)
            row("reference, s", f"{seconds:.1f}", f"{rows} rows, {evals} looks")
            points = [first_point() for _ in range(N_FIRST_POINTS)]
            row("first point, s", f"{median(points):.2f}", spread(points))
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
        browser = launch_chromium(playwright)
        try:
            live, alone = page_cost(browser, folder)
        finally:
            browser.close()

    cores = os.cpu_count() or 1
    share = median(w.server for w in live) - median(w.server for w in alone)
    kept = median(w.tokens for w in live) / median(w.tokens for w in alone)
    figures = {
        "kills": out.kills.total(),
        "disk_full": chosen.disk_full,
        "stop_resume_cycles": len(out.stop_s),
        "rows_lost": out.rows_lost,
        "resumes_failed": out.resumes_failed,
        "final_metric_gap": out.gap,
        "first_point_s": round(median(points), 2),
        "stop_s": round(median(out.stop_s or [0]), 2),
        "page_cost_share": round(share / cores, 4),
        "status_right_s": round(max(out.status_s, default=0), 3),
    }
    row("kills", figures["kills"], ", ".join(f"{n} {p}" for p, n in out.kills.items()))
    row("full disks", chosen.disk_full)
    row("stops", len(out.stop_s), f"each an SAE; s: {spread(out.stop_s)}")
    row("rows lost", out.rows_lost, f"{out.n_runs} runs")
    row("resumes failed", out.resumes_failed)
    row("final metric gap", out.gap, f"{out.n_identical} the same to the last bit")
    row("status right after, s", figures["status_right_s"], spread(out.status_s, 3))
    row(
        "page's cost, share",
        figures["page_cost_share"],
        f"server's CPU s/s, live: {spread(w.server for w in live)}; "
        f"alone: {spread((w.server for w in alone), 3)}",
    )
    row(
        "  browser, CPU s/s",
        round(median(w.browser for w in live), 2),
        f"tokens/s with page and browser: {kept:.2f} of those alone",
    )
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
