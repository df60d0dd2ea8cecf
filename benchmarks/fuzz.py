"""What happens when a file, a folder or a link is not what it should be.

Each reader of what people bring (`benchmarks/fuzz_targets.py`) is given a small valid
sample of which one file was made wrong (`benchmarks/mutations.py`): as bytes, or as
what it is made of. It may read it, or refuse it with a sentence (`TinysaeError`);
anything else is a finding, kept with its input in `build/fuzz/<seed>-<code>/findings`.
Readers run in a child process, many inputs each. Prints a table and, as its last line,
one JSON object:

- inputs: how many were given;
- crashes: readings that ended their process;
- other_exceptions: readings that raised something else than a sentence;
- over_limits: readings that took more than 512 MB, or 5 s of the processor, or half a
  minute.

The same `--seed` gives the same inputs. A run that was interrupted goes on where it
was, as long as the code is the same; `--target NAME` reads one kind of thing only.
Needs Linux and requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import measuring, options, print_last
from benchmarks.fuzz_targets import TARGETS, Target
from benchmarks.mutations import wrong
from benchmarks.results import ROOT, hash_of
from tinysae.errors import MissingError, TinysaeError

SOURCES = [
    "benchmarks/fuzz.py",
    "benchmarks/fuzz_jobs.py",
    "benchmarks/fuzz_samples.py",
    "benchmarks/fuzz_targets.py",
    "benchmarks/mutations.py",
    "tinysae/checked_numbers.py",
    "tinysae/config.py",
    "tinysae/data/texts/*.py",
    "tinysae/features/index/*.py",
    "tinysae/features/names/*.py",
    "tinysae/jobs/*.py",
    "tinysae/lessons/*.py",
    "tinysae/library/*.py",
    "tinysae/model/*.py",
    "tinysae/model/text/*.py",
    "tinysae/render/visible.py",
    "tinysae/runs/*.py",
    "tinysae/sae/load.py",
]
N_INPUTS, BATCH = 20_000, 200
MAX_GROWTH_BYTES = 512 << 20
# Beyond any finding: what keeps the machine that measures in one piece.
MAX_BYTES = 3 << 30
MAX_CPU_S, MAX_WALL_S = 5.0, 30.0
# A library's first import, on a busy machine.
MAX_START_S = 300.0
MAX_SENTENCE_BYTES = 4_000
# A name that nobody meant is asked for nowhere.
ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1"}
OUTCOMES = ("read", "sentence", "crash", "exception", "limit")
LABELS = ("read", "a sentence", "crashes", "other exceptions", "over limits")


def main() -> int:
    parser = argparse.ArgumentParser(description="Gives readers what is not right.")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    parser.add_argument("--inputs", type=int, default=N_INPUTS, metavar="N")
    parser.add_argument("--target", choices=list(TARGETS), help="one reader only")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    asked, variant = options(parser, free=("seed", "child"))
    if asked.child:
        answers = os.fdopen(os.dup(1), "w")
        # What libraries print is no answer.
        os.dup2(2, 1)
        _child(asked.target, asked.seed, range(*asked.child), answers)
        return 0
    with measuring("fuzz", SOURCES, seed=asked.seed, variant=variant) as figures:
        place = ROOT / "build" / "fuzz" / f"{asked.seed}-{hash_of(SOURCES)}"
        names = [asked.target] if asked.target else list(TARGETS)
        shares = [TARGETS[name].share for name in names]
        totals = dict.fromkeys(OUTCOMES, 0)
        print(f"{'':10}{'inputs':>8}" + "".join(f"{label:>18}" for label in LABELS))
        for name, share in zip(names, shares, strict=True):
            n = max(1, round(asked.inputs * share / sum(shares)))
            counts = fuzzed(name, asked.seed, n, place)
            cells = "".join(f"{counts[outcome]:>18,}" for outcome in OUTCOMES)
            print(f"{name:10}{sum(counts.values()):>8,}{cells}", flush=True)
            totals = {each: totals[each] + counts[each] for each in OUTCOMES}
        figures |= {
            "inputs": sum(totals.values()),
            "crashes": totals["crash"],
            "other_exceptions": totals["exception"],
            "over_limits": totals["limit"],
        }
    if found := sorted((place / "findings").glob("*")):
        print(f"{len(found)} findings in {place.relative_to(ROOT)}/findings")
    print_last(figures)
    return 0


def fuzzed(name: str, seed: int, n: int, place: Path) -> dict[str, int]:
    """What became of the first `n` inputs of a target, those of an earlier run too.

    place: a folder for outcomes and findings.

    Raises:
        RuntimeError: the target's valid sample cannot be read.
    """
    record = place / f"{name}.json"
    place.mkdir(parents=True, exist_ok=True)
    outcomes: list[str] = json.loads(record.read_text()) if record.exists() else []

    def keep(number: int, why: str) -> None:
        _keep(name, seed, number, place, why)

    while (begin := len(outcomes)) < n:
        end = min(n, begin + BATCH)
        command = [sys.executable, __file__, "--target", name, "--seed", str(seed)]
        command += ["--child", str(begin), str(end)]
        outcomes += batch(command, range(begin, end), keep)
        record.write_text(json.dumps(outcomes))
    return {outcome: outcomes[:n].count(outcome) for outcome in OUTCOMES}


def batch(
    command: list[str], inputs: range, keep: Callable[[int, str], object]
) -> list[str]:
    """The outcomes of inputs that a child reads, up to one that ended it.

    Args:
        command: starts the child, which says "ready" and then a line for each.
        keep: hears the number of an input that found something, and what.

    Raises:
        RuntimeError: it never got ready.
    """
    outcomes: list[str] = []
    is_ready = is_late = False
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, env=ENVIRONMENT
        ) as child,
    ):
        for line in _lines(child):
            if line is None:
                is_late = True
                child.kill()
            elif line == b"ready\n":
                is_ready = True
            else:
                answer = json.loads(line)
                if "why" in answer:
                    keep(inputs[len(outcomes)], answer["why"])
                outcomes.append(answer["outcome"])
        child.wait()
        if len(outcomes) == len(inputs):
            return outcomes
        said.seek(0)
        log = said.read()[-4000:].decode(errors="replace")
    if not is_ready:
        raise RuntimeError(f"the valid sample cannot be read\n{log}")
    why = "no answer" if is_late else f"ended with {child.returncode}\n{log}"
    keep(inputs[len(outcomes)], why)
    return [*outcomes, "limit" if is_late else "crash"]


def _lines(child: subprocess.Popen[bytes]) -> Iterator[bytes | None]:
    """What it says, line by line; None, the last, where nothing more came in time."""
    assert child.stdout is not None
    patience = MAX_START_S
    while select.select([child.stdout], [], [], patience)[0]:
        if not (line := child.stdout.readline()):
            return
        yield line
        patience = MAX_WALL_S
    yield None


def _keep(name: str, seed: int, number: int, place: Path, why: str) -> None:
    """Keeps what found something: the file as it was given, and what happened."""
    folder = place / "findings" / f"{name}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as sample:
        _write(TARGETS[name], Path(sample))
        path, data = _input(name, seed, number, Path(sample))
    (folder / path.name).write_bytes(data)
    (folder / "why.txt").write_text(why, "utf-8", "replace")


def _write(target: Target, home: Path) -> None:
    os.environ["TINYSAE_HOME"] = str(home)
    target.write(home)


def _input(name: str, seed: int, number: int, sample: Path) -> tuple[Path, bytes]:
    """Which file of the sample is made wrong, from the sample's folder, and how."""
    rng = random.Random(f"{seed} {name} {number}")
    files = sorted(path for path in sample.glob(TARGETS[name].wrong) if path.is_file())
    path = rng.choice(files)
    return path.relative_to(sample), wrong(path.name, path.read_bytes(), rng)


def _child(name: str, seed: int, inputs: range, answers: Any) -> None:
    """Reads inputs one after the other, with a line for what became of each."""
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        sample, home = Path(folder) / "sample", Path(folder) / "home"
        sample.mkdir()
        _write(target, sample)
        # Everything that is imported, compiled or cached is, before anything counts.
        for _ in range(2):
            _copy(sample, home)
            # Some samples take a package that is not here.
            with suppress(MissingError):
                target.read(home)
        most = _bytes("VmData") + MAX_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        print("ready", file=answers, flush=True)
        for number in inputs:
            _copy(sample, home)
            path, data = _input(name, seed, number, sample)
            (home / path).write_bytes(data)
            answer = outcome_of(target, home)
            print(json.dumps(answer), file=answers, flush=True)


def _copy(sample: Path, home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(sample, home)
    os.environ["TINYSAE_HOME"] = str(home)


def outcome_of(target: Target, home: Path) -> dict[str, str]:
    """What became of an input: one of `OUTCOMES`, and of a finding why."""
    # The peak begins anew (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before, cpu = _bytes("VmRSS"), _cpu_s()
    outcome, why = "read", None
    try:
        target.read(home)
    except TinysaeError as sentence:
        outcome = "sentence"
        if len(sentence.in_language("en").encode()) > MAX_SENTENCE_BYTES:
            outcome, why = "exception", f"a novel: {sentence}"[:MAX_SENTENCE_BYTES]
    except MemoryError:
        outcome, why = "limit", traceback.format_exc()
    # Rust's panics are no `Exception`.
    except BaseException:
        outcome, why = "exception", traceback.format_exc()
    grown, took = _bytes("VmHWM") - before, _cpu_s() - cpu
    if why is None and (grown > MAX_GROWTH_BYTES or took > MAX_CPU_S):
        outcome, why = "limit", f"{grown / 1e6:.0f} MB, {took:.1f} s"
    return {"outcome": outcome} | ({"why": why} if why else {})


def _bytes(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


def _cpu_s() -> float:
    """Of this process and those that it has waited for."""
    of_others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + of_others.ru_utime + of_others.ru_stime


if __name__ == "__main__":
    sys.exit(main())
