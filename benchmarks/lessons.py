"""Every claim of every lesson, on held-out stories, with its control.

    python benchmarks/lessons.py

Prints a row a claim, and as its last line one JSON object:

- lesson_step_ms: of the slowest step, the median time of its call with the model and
  the SAE in memory, each time asked of another case. What is kept from one to the next
  is what no choice of the reader changes, as in the app: which heads carry names, the
  held-out stories and what fires on them, how high random directions reach;
- lesson_first_ms: of the slowest step, the time of its first call, which reads that;
  the lessons in their order, so that a step finds what those before it have read;
- claims, claims_false: how many, and those whose figure, its mean over the cases, is
  out of bounds;
- controls_failed: controls that are.
"""

import sys
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import measuring, print_last, timed
from tinysae.lessons.calls.registry import CALLS, asked
from tinysae.lessons.calls.results import Stage
from tinysae.lessons.lesson import FIRST, Bound, Step, load_lesson
from tinysae.lessons.playing import check_claim, claims, found
from tinysae.library.feature_source import embedded_source
from tinysae.model.sources import STORYBOOK, load_model
from tinysae.sae.load import load_sae

SOURCES = [
    "benchmarks/lessons.py",
    "tinysae/lessons/*.py",
    "tinysae/lessons/*.json",
    "tinysae/lessons/calls/*.py",
]
N_CASES = 30
N_TIMED = 7


def main() -> int:
    """Prints the table and the figures; 1 when a claim or a control fails."""
    with measuring("lessons", SOURCES) as figures:
        figures |= measured()
    print_last(figures)
    return int(figures["claims_false"] or figures["controls_failed"])


def measured() -> dict[str, float]:
    """The figures of the module's docstring; prints the table."""
    source = embedded_source()
    stage = Stage(load_model(STORYBOOK), load_sae(source.sae_dir), source.open())
    slowest, slowest_first, n_false, n_failed, n = 0.0, 0.0, 0, 0, 0
    for name in FIRST:
        for number, step in claims(load_lesson(name)):
            assert step.claim is not None
            n += 1
            first = first_ms(step, stage)
            slowest_first = max(slowest_first, first)
            checked = check_claim(step, stage, N_CASES)
            n_false += not checked.holds
            n_failed += not checked.control_holds
            took = step_ms(step.call, stage)
            slowest = max(slowest, took)
            own, control = step.claim.own, step.claim.control
            print(
                f"{name:8} {number:2}  {own.text['en']:66} {said(own, checked.value)}"
                f"{'' if checked.holds else '  FALSE'}\n"
                f"{'':13}control: {control.text['en']:57} "
                f"{said(control, checked.control)}"
                f"{'' if checked.control_holds else '  FAILED'}"
                f"  (n {checked.n}, {took:.0f} ms, first {first:.0f} ms)"
            )
    return {
        "lesson_step_ms": round(slowest, 1),
        "lesson_first_ms": round(slowest_first, 1),
        "claims": n,
        "claims_false": n_false,
        "controls_failed": n_failed,
    }


def first_ms(step: Step, stage: Stage) -> float:
    """The time of the step as it is opened."""
    return 1000 * timed(lambda: found(step, stage, {})).wall


def step_ms(call: str, stage: Stage) -> float:
    """The median time of `call`, warm."""
    cases = CALLS[call].cases
    assert cases is not None
    arguments = cases(stage, N_CASES + N_TIMED)
    asked(call, stage, arguments[0])
    asks = [partial(asked, call, stage, each) for each in arguments[-N_TIMED:]]
    return 1000 * median(timed(ask).wall for ask in asks)


def said(bound: Bound, value: float) -> str:
    """A figure and its bounds."""
    low = "" if bound.at_least is None else f" >= {bound.at_least:g}"
    high = "" if bound.at_most is None else f" <= {bound.at_most:g}"
    return f"{bound.figure} {value:8.3f}{low}{high}"


if __name__ == "__main__":
    sys.exit(main())
