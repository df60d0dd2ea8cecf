"""What the doctor says of runs that are sick in a known way, and of healthy ones.

    python benchmarks/doctor.py                          # all of it
    python benchmarks/doctor.py --faults dead rail --seeds 0   # a part
    python benchmarks/doctor.py --keep FILE              # goes on where it was cut off

Real trainings in this process, small enough for seconds each. A fault of `FAULTS` is
planted by settings, by the model or by the text; the run is diagnosed; then the remedy
of the diagnosis that was to come is taken, as the page's button takes it, and the
mended run is measured by the figure that the fault spoils (`doctor_faults.Fault`).

The rules' bounds were looked at beside runs of the seeds 0 to 2; what is reported is of
the seeds 3 to 5, of faults and healthy runs alike.

Prints a table and, as its last line, one JSON object:

- planted, healthy: how many runs of each;
- right_first: the share of planted faults that are the first diagnosis; right_at_all:
  that are any;
- remedy_better: the share of planted faults whose mended run is better by the fault's
  figure (one that is not diagnosed has no remedy and is not); cured: the share whose
  mended run has that diagnosis no more;
- false_alarms: diagnoses of healthy runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from benchmarks.common import measuring, options, print_last
from benchmarks.doctor_faults import FAULTS, Fault
from benchmarks.doctor_healthy import HEALTHY
from benchmarks.doctor_runs import Models, Wanted, trained
from benchmarks.results import hash_of
from tinysae.runs.doctor.diagnosis import mended, spelled
from tinysae.runs.doctor.registry import diagnose

SOURCES = [
    "benchmarks/doctor.py",
    "benchmarks/doctor_faults.py",
    "benchmarks/doctor_healthy.py",
    "benchmarks/doctor_runs.py",
    "tinysae/runs/doctor/*.py",
    "tinysae/runs/doctor/rules/*.py",
    "tinysae/sae/train.py",
    "tinysae/sae/evaluate.py",
]
# Not those that the bounds were looked at beside.
SEEDS = (3, 4, 5)


class Outcome(NamedTuple):
    """What came of a planted fault, or (`fault` empty) of a healthy run.

    found: the diagnoses, the first first. is_better, is_cured: of the mended run.
    told: a line of the table.
    """

    fault: str
    seed: int
    found: list[str]
    is_better: bool
    is_cured: bool
    told: str


class Kept:
    """Outcomes that were kept in a file, so that a benchmark that was cut off goes on;
    those of other code, or of a run that is planted otherwise, are not read."""

    def __init__(self, path: Path | None) -> None:
        planted_by = {"benchmarks/doctor_faults.py", "benchmarks/doctor_healthy.py"}
        self._path = path
        self._code = hash_of(each for each in SOURCES if each not in planted_by)
        lines = path.read_text("utf-8").splitlines() if path and path.exists() else []
        self._outcomes = {
            (outcome[0], outcome[1], run): Outcome(*outcome)
            for code, run, outcome in map(json.loads, lines)
            if code == self._code
        }

    def of(
        self, fault: str, seed: int, run: Wanted, make: Callable[[], Outcome]
    ) -> Outcome:
        """The outcome that is kept, or a new one."""
        found = self._outcomes.get((fault, seed, repr(run)))
        if found is None:
            found = make()
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([self._code, repr(run), found]) + "\n")
        print(found.told, flush=True)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Sick runs, healthy runs, the doctor.")
    names = [fault.key for fault in FAULTS]
    parser.add_argument("--faults", nargs="*", choices=names, default=names)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--healthy", type=int, default=len(HEALTHY), help="how many")
    parser.add_argument("--keep", type=Path, help="a file of outcomes, to go on from")
    asked, variant = options(parser, free=["keep"])
    # A second thread gains nothing on runs so small, and waits on a busy machine.
    torch.set_num_threads(1)
    faults = [fault for fault in FAULTS if fault.key in asked.faults]
    kept = Kept(asked.keep)
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-doctor-") as folder,
        measuring("doctor", SOURCES, seed=SEEDS[0], variant=variant) as figures,
    ):
        models = Models(Path(folder))
        figures |= diagnosed(models, faults, asked.seeds, kept)
        figures |= alarms(models, asked.healthy, min(asked.seeds), kept)
    print_last(figures)
    return 0


def diagnosed(
    models: Models, faults: Sequence[Fault], seeds: Sequence[int], kept: Kept
) -> dict[str, float]:
    """The figures of the planted faults; prints a line for each."""
    outcomes = [
        kept.of(fault.key, seed, fault.run, partial(planted, models, fault, seed))
        for fault in faults
        for seed in seeds
    ]
    return {
        "planted": len(outcomes),
        "right_first": _share(each.found[:1] == [each.fault] for each in outcomes),
        "right_at_all": _share(each.fault in each.found for each in outcomes),
        "remedy_better": _share(each.is_better for each in outcomes),
        "cured": _share(each.is_cured for each in outcomes),
    }


def planted(models: Models, fault: Fault, seed: int) -> Outcome:
    """A fault's run, what is said of it, and the run that is mended."""
    case = trained(models, fault.run, seed)
    found = diagnose(case)
    names = [diagnosis.key for diagnosis in found]
    told = f"{fault.key:17} {seed}  {', '.join(names) or 'nothing'}"
    own = next((each for each in found if each.key == fault.key), None)
    if own is None or own.remedy is None:
        return Outcome(fault.key, seed, names, False, False, told)
    config = mended(case.config, own.remedy)
    again = trained(models, fault.run, seed, config)
    before, after = fault.figure(case), fault.figure(again)
    is_better = fault.is_better(before, after)
    is_cured = all(each.key != fault.key for each in diagnose(again))
    told += (
        f" | {', '.join(spelled(case.config, config))} | {fault.measure} "
        f"{before:.3g} → {after:.3g}{'' if is_better else ', NOT better'}"
        f"{'' if is_cured else ', not cured'}"
    )
    return Outcome(fault.key, seed, names, is_better, is_cured, told)


def alarms(models: Models, n: int, seed: int, kept: Kept) -> dict[str, float]:
    """How many diagnoses healthy runs are given; prints a line for each run."""
    outcomes = [
        kept.of("", each, wanted, partial(at_ease, models, wanted, each))
        for each, wanted in enumerate(HEALTHY[:n], start=seed)
    ]
    return {
        "healthy": len(outcomes),
        "false_alarms": sum(len(outcome.found) for outcome in outcomes),
    }


def at_ease(models: Models, wanted: Wanted, seed: int) -> Outcome:
    """A healthy run, and what is said of it all the same."""
    case = trained(models, wanted, seed)
    found = diagnose(case)
    figures = ", ".join(
        f"{name} {case.figure(name):.3g}"
        for name in ("ce_loss_score", "explained_variance", "l0", "dead_share")
    )
    what = f"{wanted.model} {case.config.architecture} {case.config.hook_name}"
    said = "; ".join(each.why("en") for each in found) or "nothing"
    names = [diagnosis.key for diagnosis in found]
    return Outcome("", seed, names, False, False, f"{what}: {figures} | {said}")


def _share(held: Iterable[bool]) -> float:
    found = list(held)
    return round(sum(found) / len(found), 3) if found else 0.0


if __name__ == "__main__":
    sys.exit(main())
