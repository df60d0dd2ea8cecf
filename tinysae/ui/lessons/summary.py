"""A lesson's last screen: what it claims, measured, and a handout to take along."""

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.lessons.answers import answer, claims
from tinysae.lessons.calls.results import Stage
from tinysae.lessons.handout import Entry, handout
from tinysae.lessons.progress import Progress, read_progress
from tinysae.ui.lessons import asked
from tinysae.ui.lessons.claim import (
    checked,
    checked_sentence,
    claim_title,
    show_checked,
    show_refused,
    verdict,
)
from tinysae.ui.lessons.stage import choose_source, stage_of
from tinysae.ui.lessons.step import Place, show_moves
from tinysae.ui.parts.sae_names import source_label
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain, shown_errors

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def show_end(place: Place, top: "DeltaGenerator") -> None:
    """Every claim with its figure and control; then the handout. The lesson's name is
    in `top`."""
    top.caption(plain(place.lesson.title[language()]))
    st.title(t("lessons.summary"), anchor=False)
    with shown_errors():
        stage = stage_of(choose_source())
        _show_claims(place, stage)
        _show_handout(place, stage)
    show_moves(place)


def _show_claims(place: Place, stage: Stage) -> None:
    claimed = claims(place.lesson)
    if not claimed:
        note(t("lessons.no_claims"))
        return
    st.markdown(plain(t("lessons.summary_text")))
    is_asked = st.button(t("lessons.measure"), icon=":material/fact_check:")
    for _, step in claimed:
        found = asked.kept_check(stage, step)
        if found is None and not is_asked:
            continue
        with st.container(gap="xxsmall"):
            claim_title(step)
            try:
                show_checked(step, found or checked(step, stage))
            except TinysaeError as error:
                show_refused(step, error)


def _show_handout(place: Place, stage: Stage) -> None:
    note(t("lessons.handout_how"))
    if not st.button(t("lessons.handout"), icon=":material/description:"):
        return
    source = stage.source
    name = source_label(source) if source is not None else stage.model.source
    entries = [
        _entry(place, number, stage) for number in range(1, len(place.lesson.steps) + 1)
    ]
    st.download_button(
        t("lessons.download"),
        handout(place.lesson, entries, name, stage.model.source, language()),
        f"lesson-{place.lesson.id}.html",
        "text/html",
        icon=":material/download:",
        on_click="ignore",
    )


def _entry(place: Place, number: int, stage: Stage) -> Entry:
    """A step as it went: what was chosen, what was found, and what is known of it."""
    step = place.lesson.steps[number - 1]
    progress = read_progress().get(place.lesson.id, Progress())
    chosen = progress.answered.get(number)
    claim = None
    if (found := asked.kept_check(stage, step)) is not None:
        sentence = checked_sentence(step, found, language())
        claim = f"{t(verdict(found))}. {sentence}"
    if chosen is None:
        return Entry(step, {}, None, None, claim)
    try:
        result = asked.lesson_result(stage, step.call, step.values(chosen))
        return Entry(step, chosen, result, answer(step, result, language()), claim)
    except TinysaeError as error:
        return Entry(step, chosen, None, error.in_language(language()), claim)
