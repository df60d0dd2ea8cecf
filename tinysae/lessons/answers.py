"""Answers of a lesson's steps, and whether what it claims holds for a model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinysae.errors import InputError, TinysaeError
from tinysae.lessons.calls.registry import CALLS, asked
from tinysae.lessons.calls.results import Result, Stage
from tinysae.lessons.lesson import Bound, Lesson, Step
from tinysae.words import Language

N_CASES = 10
"""Held-out cases on which a reader has a claim checked."""


class Checked(NamedTuple):
    """A claim over held-out cases: means of its figure and its control's.

    n: cases that could be asked; others the model or the SAE has no answer to.
    """

    value: float
    control: float
    holds: bool
    control_holds: bool
    n: int


def answer(step: Step, result: Result, language: Language) -> str:
    """The step's answer with what was found; untrusted plain text.

    Raises:
        InputError: it asks for a word that its call does not give.
    """
    try:
        return step.answer[language].format(**result.words)
    except (KeyError, IndexError) as problem:
        raise InputError(
            "lesson_answer",
            word=str(problem).strip("'\"")[:60],
            choices=", ".join(result.words),
        ) from None


def own_claim(step: Step, result: Result) -> bool | None:
    """Whether the step's claim is true of this one result; None without a claim."""
    if step.claim is None:
        return None
    return step.claim.own.holds(_figure(step.claim.own, result))


def check_claim(
    step: Step,
    stage: Stage,
    n: int = N_CASES,
    progress: Callable[[int, int], object] | None = None,
) -> Checked:
    """The step's claim on `n` held-out cases, with its control.

    Raises:
        TinysaeError: there is no claim, or no case could be asked.
    """
    cases = CALLS[step.call].cases
    if step.claim is None or cases is None:
        raise InputError("lesson_no_claim")
    own: list[float] = []
    control: list[float] = []
    refusal: TinysaeError | None = None
    asked_of: list[dict[str, Any]] = cases(stage, n)
    for at, arguments in enumerate(asked_of, 1):
        try:
            result = asked(step.call, stage, arguments)
        except TinysaeError as problem:
            refusal = problem
            continue
        own.append(_figure(step.claim.own, result))
        control.append(_figure(step.claim.control, result))
        if progress is not None:
            progress(at, len(asked_of))
    if not own:
        raise refusal or InputError("lesson_no_claim")
    value, other = float(np.mean(own)), float(np.mean(control))
    return Checked(
        value,
        other,
        step.claim.own.holds(value),
        step.claim.control.holds(other),
        len(own),
    )


def claims(lesson: Lesson) -> list[tuple[int, Step]]:
    """The steps that claim something, with their numbers."""
    return [(n, step) for n, step in enumerate(lesson.steps, 1) if step.claim]


def _figure(bound: Bound, result: Result) -> float:
    try:
        return result.figures[bound.figure]
    except KeyError:
        raise InputError(
            "lesson_figure", figure=bound.figure[:60], choices=", ".join(result.figures)
        ) from None
