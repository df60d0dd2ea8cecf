"""Lessons: something understood, one small experiment at a time."""

import streamlit as st

from tinysae.ui.lessons import lesson, lesson_end, lesson_list
from tinysae.ui.shell.page import page_setup, shown_errors

page_setup("lessons")
opened = st.query_params.get("lesson")
with shown_errors():
    if not opened:
        lesson_list.show_lessons()
    else:
        place = lesson.open_place(opened)
        if place.is_end:
            lesson_end.show_end(place)
        else:
            lesson.show_step(place)
