"""`python -m tinysae doctor`: what is wrong with a run, and how to mend it."""

import argparse
import json
from typing import TYPE_CHECKING

from tinysae.cli.arguments import Commands
from tinysae.cli.output import write_line
from tinysae.library.shipped import STORYBOOK_RUN_DIR, STORYBOOK_SAE
from tinysae.runs.store import Run, open_run, run_in

if TYPE_CHECKING:
    from tinysae.runs.doctor.diagnosis import Diagnosis


def add_commands(commands: Commands) -> None:
    """Adds `doctor` to the parser's commands."""
    doctor = commands.add_parser(
        "doctor", help="what is wrong with a run, with figures, and how to mend it"
    )
    doctor.add_argument("run", help=f"a run's id, or “{STORYBOOK_SAE}”")
    doctor.add_argument("--json", action="store_true", help="as a list, in JSON")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from tinysae.runs.doctor.case import case_of
    from tinysae.runs.doctor.registry import diagnose

    is_shipped = options.run == STORYBOOK_SAE
    run = run_in(STORYBOOK_RUN_DIR) if is_shipped else open_run(options.run)
    found = diagnose(case_of(run))
    if options.json:
        told = [diagnosis.to_json() for diagnosis in found]
        write_line(json.dumps(told, ensure_ascii=False, indent=1))
        return 0
    for diagnosis in found:
        _write(diagnosis, run)
    if not found:
        write_line("nothing is wrong, as far as can be seen")
    return 0


def _write(diagnosis: "Diagnosis", run: Run) -> None:
    from tinysae.runs.doctor.diagnosis import mended, spelled

    write_line(f"{diagnosis.key}: {diagnosis.sentence('en')}")
    write_line(f"  {diagnosis.why('en')}")
    if diagnosis.remedy is not None:
        better = mended(run.config, diagnosis.remedy)
        write_line(f"  mended: {', '.join(spelled(run.config, better))}")
