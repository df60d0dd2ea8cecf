"""What a lesson is asked of: the SAE that the address names, its model, a run.

The address says where the reader is (`?lesson=names&step=4&run=...`).
"""

import streamlit as st

from tinysae.errors import MissingError
from tinysae.lessons.calls.registry import CALLS
from tinysae.lessons.calls.results import Stage
from tinysae.lessons.lesson import Lesson, Step
from tinysae.library.feature_source import (
    FeatureSource,
    embedded_source,
    feature_source,
    feature_sources,
)
from tinysae.library.saved import is_saved_id
from tinysae.library.shipped import STORYBOOK_POST, STORYBOOK_SAE
from tinysae.runs.store import Run, list_runs, open_run
from tinysae.ui.lessons.presenting import is_presenting
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.parts.sae_names import show_list, source_label
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import sidebar_place


def go(**changes: str | None) -> None:
    """Changes parts of the address; None takes one away."""
    parameters = st.query_params.to_dict() | changes
    st.query_params.from_dict({k: v for k, v in parameters.items() if v is not None})


def choose(run: str | None) -> None:
    """Asks another SAE or run; None: what came along."""
    go(run=run)


def stage_of(source: FeatureSource, step: Step | None = None) -> Stage:
    """What a step is asked of; only what it needs is loaded.

    Raises:
        TinysaeError: something of it cannot be read.
    """
    model = cache.loaded_model(source.model)
    if step is not None and CALLS[step.call].needs != "sae":
        return Stage(model)
    if not source.is_open:
        raise MissingError("lesson_not_open")
    index, sae = cache.feature_index(source), cache.loaded_sae(source)
    run = own_run() if step is None else None
    return Stage(model, sae, index, source, run)


def chosen_source() -> FeatureSource:
    """The SAE that the address names, else the one that came along.

    Raises:
        TinysaeError: it is not there any more, or its features are not.
    """
    asked = st.query_params.get("run")
    return feature_source(asked) if asked else embedded_source()


def choose_source() -> FeatureSource:
    """`chosen_source`, with a list to choose another from where other pages have it."""
    asked = st.query_params.get("run") or STORYBOOK_SAE
    there = feature_sources()
    found = [each for each in there if each.is_open or each.id == asked]
    if len(found) > 1 and not is_presenting():
        labels = {source.id: source_label(source) for source in found}
        with sidebar_place():
            show_list(
                t("common.sae"), labels, asked, key="lessons.source", on_choice=choose
            )
            show_left_out(there.unreadable)
    return chosen_source()


def own_run() -> Run | None:
    """The reader's training: the one that the address names, else the newest.

    Raises:
        MissingError, DamagedError: the named one is not there any more.
    """
    asked = st.query_params.get("run")
    if not asked or asked in (STORYBOOK_SAE, STORYBOOK_POST) or is_saved_id(asked):
        return next(iter(list_runs()), None)
    return open_run(asked)


def has_own_run(lesson: Lesson) -> bool:
    """Whether the lesson goes along with a training of the reader's own."""
    return any(CALLS[step.call].needs == "run" for step in lesson.steps)
