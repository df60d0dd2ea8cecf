"""What lessons' calls found and claims came to: each is worked out once a server."""

from typing import Any

import streamlit as st

from tinysae.lessons.answers import Checked
from tinysae.lessons.calls import registry
from tinysae.lessons.calls.results import Result, Stage
from tinysae.lessons.lesson import Step
from tinysae.ui.shell.cache import source_key


def _stage_key(stage: Stage) -> tuple[object, ...]:
    """Changes whenever another model, SAE or run would answer, or a run went on."""
    source, run = stage.source, stage.run
    points = 0
    if run is not None and run.metrics_path.is_file():
        points = run.metrics_path.stat().st_size
    return (
        stage.model.source,
        None if source is None else source_key(source),
        None if run is None else (run.id, points),
    )


@st.cache_resource(show_spinner=False, max_entries=256, hash_funcs={Stage: _stage_key})
def lesson_result(stage: Stage, call: str, values: dict[str, Any]) -> Result:
    """What a lesson's call finds for `values`; shared, so do not change it.

    Raises:
        TinysaeError: it cannot be asked of this model, SAE or run.
    """
    return registry.asked(call, stage, values)


@st.cache_resource(show_spinner=False)
def _lesson_checks() -> dict[Any, Checked]:
    return {}


def kept_check(stage: Stage, step: Step) -> Checked | None:
    """What came of the step's claim, if anybody has had it checked on that model, SAE
    or run since the server started."""
    return _lesson_checks().get(_check_key(stage, step))


def keep_check(stage: Stage, step: Step, checked: Checked) -> None:
    """For everybody who comes to the step after this."""
    _lesson_checks()[_check_key(stage, step)] = checked


def _check_key(stage: Stage, step: Step) -> tuple[object, ...]:
    # A claim is about held-out stories: how far a run has come does not matter.
    return (_stage_key(stage)[:2], step.call, str(step.claim))
