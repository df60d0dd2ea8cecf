"""Lessons: something understood, one small experiment at a time."""

import streamlit as st

from tinysae.ui.lessons import all_lessons, step, summary
from tinysae.ui.shell.page import page_setup, shown_errors

page_setup("lessons")
opened = st.query_params.get("lesson")
# All that stands above a view's title, so that titles share a place: the next view's
# replaces it at once, where two could be seen while a slow page was drawn.
top = st.container()
with shown_errors():
    if not opened:
        all_lessons.show_lessons()
    else:
        place = step.open_place(opened, top)
        if place.is_end:
            summary.show_end(place, top)
        else:
            step.show_step(place, top)
