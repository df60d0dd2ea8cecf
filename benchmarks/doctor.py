"""What the doctor says of runs that are sick in a known way, and of healthy ones.

    python benchmarks/doctor.py                          # all of it
    python benchmarks/doctor.py --faults dead rail --seeds 0   # a part

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
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from benchmarks.common import N_CORES, measuring, options, print_last
from benchmarks.doctor_faults import FAULTS, Fault
from benchmarks.doctor_healthy import HEALTHY
from benchmarks.doctor_runs import Models, trained
from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.diagnosis import Diagnosis, mended, spelled
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


def main() -> int:
    parser = argparse.ArgumentParser(description="Sick runs, healthy runs, the doctor.")
    names = [fault.key for fault in FAULTS]
    parser.add_argument("--faults", nargs="*", choices=names, default=names)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--healthy", type=int, default=len(HEALTHY), help="how many")
    asked, variant = options(parser)
    torch.set_num_threads(N_CORES)
    faults = [fault for fault in FAULTS if fault.key in asked.faults]
    with (
        tempfile.TemporaryDirectory(prefix="tinysae-doctor-") as folder,
        measuring("doctor", SOURCES, seed=SEEDS[0], variant=variant) as figures,
    ):
        models = Models(Path(folder))
        figures |= alarms(models, asked.healthy, asked.seeds[:1] or SEEDS[:1])
        figures |= diagnosed(models, faults, asked.seeds)
    print_last(figures)
    return 0


def diagnosed(
    models: Models, faults: Sequence[Fault], seeds: Sequence[int]
) -> dict[str, float]:
    """The figures of the planted faults; prints a line for each."""
    n = first = at_all = better = cured = 0
    for fault in faults:
        for seed in seeds:
            case = trained(models, fault.run, seed)
            found = diagnose(case)
            n += 1
            first += _names(found)[:1] == [fault.key]
            at_all += fault.key in _names(found)
            own = next((each for each in found if each.key == fault.key), None)
            said = f"{fault.key:17} {seed}  {', '.join(_names(found)) or 'nothing'}"
            if own is not None and own.remedy is not None:
                is_better, is_cured, told = remedied(models, fault, seed, case, own)
                better, cured = better + is_better, cured + is_cured
                said += told
            print(said, flush=True)
    return {
        "planted": n,
        "right_first": _share(first, n),
        "right_at_all": _share(at_all, n),
        "remedy_better": _share(better, n),
        "cured": _share(cured, n),
    }


def remedied(
    models: Models, fault: Fault, seed: int, case: Case, diagnosis: Diagnosis
) -> tuple[bool, bool, str]:
    """Whether the run that the button starts is better; whether the diagnosis is gone;
    and what the table says of it."""
    assert diagnosis.remedy is not None
    config = mended(case.config, diagnosis.remedy)
    again = trained(models, fault.run, seed, config)
    before, after = fault.figure(case), fault.figure(again)
    is_better = fault.is_better(before, after)
    is_cured = fault.key not in _names(diagnose(again))
    sign = "better" if is_better else "NOT better"
    return (
        is_better,
        is_cured,
        f" | {', '.join(spelled(case.config, config))} | {fault.measure} "
        f"{before:.3g} → {after:.3g}, {sign}{'' if is_cured else ', not cured'}",
    )


def alarms(models: Models, n: int, seeds: Sequence[int]) -> dict[str, float]:
    """How many diagnoses healthy runs are given; prints a line for each run."""
    found = 0
    for place, healthy in enumerate(HEALTHY[:n]):
        case = trained(models, healthy, seeds[0] + place)
        said = diagnose(case)
        found += len(said)
        figures = {
            name: round(case.figure(name), 3)
            for name in ("ce_loss_score", "explained_variance", "l0", "dead_share")
        }
        what = f"{healthy.model} {case.config.architecture} {case.config.hook_name}"
        print(
            f"healthy: {what} {figures} {[each.why('en') for each in said]}", flush=True
        )
    return {"healthy": len(HEALTHY[:n]), "false_alarms": found}


def _names(found: Sequence[Diagnosis]) -> list[str]:
    return [diagnosis.key for diagnosis in found]


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 0.0


if __name__ == "__main__":
    sys.exit(main())
