"""The lessons there are, and how far the reader is in each."""

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.lessons.lesson_file import lesson_ids, load_lesson
from tinysae.lessons.progress import Progress, read_progress
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, page_link, plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


def show_lessons() -> None:
    """A box a lesson; one whose file is wrong says what is, and the others stand."""
    st.title(t("lessons.title"), anchor=False)
    with st.container(key="shell_lead"):
        st.markdown(plain(t("lessons.lead")))
    progress = read_progress()
    for name in lesson_ids():
        with st.container(border=True):
            try:
                _lesson(name, progress.get(name))
            except TinysaeError as error:
                st.error(plain(error.in_language(language())))


def _lesson(name: str, progress: Progress | None) -> None:
    lesson = load_lesson(name)
    st.subheader(plain(lesson.title[language()]), anchor=False)
    st.markdown(plain(lesson.lead[language()]))
    n = len(lesson.steps)
    if lesson.own:
        note(t("lessons.own"))
    if progress is None:
        note(t("lessons.steps", n=n))
        with _ways(name):
            page_link("lessons", t("lessons.begin"), lesson=name)
        return
    step = min(progress.step, n)
    answered = sum(number <= n for number in progress.answered)
    if progress.is_done(n):
        st.progress(1.0, t("lessons.done", n=n, answered=answered))
        with _ways(name):
            end = str(n + 1)
            page_link("lessons", t("lessons.see_summary"), lesson=name, step=end)
            page_link("lessons", t("lessons.read_again"), lesson=name, step="1")
        return
    st.progress(answered / n, t("lessons.progress", step=step, n=n, answered=answered))
    with _ways(name):
        page_link("lessons", t("lessons.go_on", step=step), lesson=name, step=str(step))


def _ways(name: str) -> "DeltaGenerator":
    """A line of links, which keeps its height until they are drawn."""
    return st.container(key=f"lessons_ways_{name}", horizontal=True)
