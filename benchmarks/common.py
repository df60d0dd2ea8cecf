"""What the benchmarks share: times taken in turns, a table's rows, what is recorded.

A benchmark is a script with one claim. It names the code that it measures (`SOURCES`,
a short list of paths and patterns), measures inside `measuring`, which puts its figures
into `results.json`, and prints them as one line of JSON, its last, by `print_last`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.results import ROOT, Entry, commit, files_of, hash_of, write

N_CORES = os.cpu_count() or 1


@contextmanager
def measuring(
    name: str,
    sources: Sequence[str],
    *,
    seed: int | None = 0,
    variant: str = "",
    note: str = "",
) -> Iterator[dict[str, float]]:
    """Takes down the figures that are put into the dict, and what they are of.

    A run that ends in an error leaves no trace.

    Args:
        name: the benchmark's, as in `benchmarks/NAME.py`.
        sources: what it measures: paths from the root, or patterns.
        seed: what everything random is drawn from; None where nothing is.
        variant: the options that make it another benchmark than by default; see
            `options`.
        note: what else a reader has to know (another machine than the others').

    Raises:
        FileNotFoundError: a source is not there.
    """
    for source in sources:
        if not files_of(source):
            raise FileNotFoundError(f"{name} measures {source}, which is not there")
    entry: Entry = {
        "figures": {},
        "command": command(),
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "cpu": cpu_name(),
        "cores": N_CORES,
        "load_at_start": round(load(), 2),
        "seed": seed,
        "minutes": None,
        "sources": list(sources),
        "sources_hash": hash_of(sources),
    }
    if note:
        entry["note"] = note
    print(f"{name}: load {load():.1f} of {N_CORES} cores at the start", flush=True)
    started = time.monotonic()
    yield entry["figures"]
    print(f"{name}: load {load():.1f} at the end", flush=True)
    entry["minutes"] = round((time.monotonic() - started) / 60, 1)
    write(f"{name} {variant}".strip(), entry)


def print_last(figures: Mapping[str, float]) -> None:
    """The line that programs read."""
    print(json.dumps(figures), flush=True)


def options(
    parser: argparse.ArgumentParser, free: Sequence[str] = ()
) -> tuple[argparse.Namespace, str]:
    """What was asked for, and the part of it that makes the run another one.

    Args:
        parser: knows the options.
        free: names of those that change nothing about what is measured.
    """
    asked = parser.parse_args()
    parts: list[str] = []
    for action in parser._actions:
        value = getattr(asked, action.dest, None)
        if action.dest in free or value in (None, [], action.default):
            continue
        # More kills, tokens or seeds than by default: the whole benchmark, and more.
        is_count = type(value) is type(action.default) is int
        if is_count and value > action.default:
            continue
        values = value if isinstance(value, list) else [value] * (value is not True)
        parts += [*action.option_strings[:1], *map(str, values)]
    return asked, " ".join(parts)


def command() -> str:
    """What was run, as one would type it at the root."""
    path = Path(sys.argv[0]).resolve()
    script = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return shlex.join(["python", str(script), *sys.argv[1:]])


def cpu_name() -> str:
    """The processor's, with the numbers that tell generations of one name apart."""
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    try:
        about = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
        told = dict(re.findall(r"^(.+?)\s*: (.+)$", about, re.MULTILINE))
        return "{model name} (family {cpu family}, model {model})".format(**told)
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def load() -> float:
    """How many cores were busy in the last minute."""
    return os.getloadavg()[0]


class Seconds(NamedTuple):
    """How long something took, by the wall and of this process's CPU time."""

    wall: float
    cpu: float


def timed(work: Callable[[], object]) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(
    works: Sequence[Callable[[], object]],
    repeats: int,
    typical: Callable[[Iterable[float]], float] = median,
) -> list[Seconds]:
    """The typical time of each, taken in turns so that a busy moment meets all alike;
    after one turn that is not counted."""
    times: list[list[Seconds]] = [[] for _ in works]
    for turn in range(repeats + 1):
        for work, its in zip(works, times, strict=True):
            took = timed(work)
            if turn:
                its.append(took)
    return [Seconds(*map(typical, zip(*its, strict=True))) for its in times]


def row(name: str, value: object, remark: str = "") -> None:
    """A line of a table, with how busy the machine is."""
    print(f"{name:28} {value!s:>10}   load {load():4.1f}   {remark}", flush=True)


def spread(values: Iterable[float], digits: int = 2) -> str:
    """All of them, the smallest first."""
    return " ".join(f"{value:.{digits}f}" for value in sorted(values))


def rounded(figures: Mapping[str, float], digits: int = 4) -> dict[str, float]:
    """To so many significant digits."""
    return {name: float(f"{value:.{digits}g}") for name, value in figures.items()}
