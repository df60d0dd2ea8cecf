"""Lessons: something understood, one small experiment at a time."""

import streamlit as st

from tinysae.ui.lessons import lesson, lesson_end, lesson_list
from tinysae.ui.shell.page import page_setup, shown_errors

page_setup("lessons")
opened = st.query_params.get("lesson")
# All that stands above a view's title, so that titles share a place: the next view's
# replaces it at once, where two could be seen while a slow page was drawn.
top = st.container()
with shown_errors():
    if not opened:
        lesson_list.show_lessons()
    else:
        place = lesson.open_place(opened, top)
        if place.is_end:
            lesson_end.show_end(place, top)
        else:
            lesson.show_step(place, top)
