"""The lessons there are, and how far the reader is in each."""

import html
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.lessons.lesson_file import lesson_ids, load_lesson
from tinysae.lessons.progress import Progress, read_progress
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, page_link, plain

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from tinysae.lessons.lesson import Lesson

# Cards in a row.
N_BESIDE = 3


def show_lessons() -> None:
    """A card a lesson, with its steps in order; one whose file is wrong says what is,
    and the others stand."""
    st.title(t("lessons.title"), anchor=False)
    with st.container(key="shell_lead"):
        st.markdown(plain(t("lessons.lead")))
    progress = read_progress()
    with st.container(key="lessons_all"):
        names = lesson_ids()
        for first in range(0, len(names), N_BESIDE):
            row = names[first : first + N_BESIDE]
            for column, name in zip(st.columns(N_BESIDE), row, strict=False):
                with column.container(border=True, height="stretch"):
                    try:
                        _lesson(name, progress.get(name))
                    except TinysaeError as error:
                        st.error(plain(error.in_language(language())))


def _lesson(name: str, progress: Progress | None) -> None:
    lesson = load_lesson(name)
    st.subheader(plain(lesson.title[language()]), anchor=False)
    st.markdown(plain(lesson.lead[language()]))
    if lesson.own:
        note(t("lessons.own"))
    _ways_on(name, len(lesson.steps), progress)
    _steps(lesson, progress or Progress())


def _ways_on(name: str, n: int, progress: Progress | None) -> None:
    if progress is None:
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


def _steps(lesson: "Lesson", progress: Progress) -> None:
    """What it asks, a line a step; those that are answered are ticked."""
    rows = (
        f"<li{' class=done' if number in progress.answered else ''}>"
        f"{html.escape(step.title[language()])}</li>"
        for number, step in enumerate(lesson.steps, 1)
    )
    st.html(f'<ol class="lesson-steps">{"".join(rows)}</ol>')


def _ways(name: str) -> "DeltaGenerator":
    """A line of links, which keeps its height until they are drawn."""
    return st.container(key=f"lessons_ways_{name}", horizontal=True)
