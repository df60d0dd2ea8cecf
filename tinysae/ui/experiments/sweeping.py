"""The tab Sweep: a grid of settings to start on the left, what its trainings come to on
the right."""

from collections.abc import Sequence

import streamlit as st

from tinysae.render.numbers import moment
from tinysae.runs.store import list_runs
from tinysae.runs.sweep import Sweep, list_sweeps
from tinysae.ui.experiments.sweep_form import show_form
from tinysae.ui.experiments.sweep_points import show_none, show_points
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.shell.chosen import Chosen
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import shown_errors

# What a link names it by.
SWEEP = "sweep"
_KEY = "sweep.shown"


def show_sweeps(here: Chosen) -> None:
    """The form, and the sweep that is looked at."""
    sweeps = list_sweeps()
    # A grid (page.css): the form, the picture beside it; on a phone that comes first.
    with st.container(key="sweep_split"):
        with st.container(key="sweep_form"), shown_errors():
            show_form(here.model, list_runs(), _show)
        with st.container(key="sweep_picture"), shown_errors():
            if sweeps:
                show_points(_chosen(sweeps))
            else:
                show_none()
    show_left_out(sweeps.unreadable)


def _show(sweep: Sweep) -> None:
    """The one that was just started."""
    st.query_params[SWEEP] = sweep.id
    st.session_state.pop(_KEY, None)
    st.rerun()


def _chosen(sweeps: Sequence[Sweep]) -> Sweep:
    """The link's, else the one that works, else the newest."""
    by_id = {sweep.id: sweep for sweep in sweeps}
    working = (sweep.id for sweep in sweeps if sweep.status.is_working)
    shown = next(working, sweeps[0].id)
    if (linked := st.query_params.get(SWEEP)) in by_id:
        shown = linked
    if len(sweeps) == 1:
        return by_id[shown]

    def choose() -> None:
        st.query_params[SWEEP] = st.session_state[_KEY]

    if st.session_state.get(_KEY) not in by_id:
        st.session_state[_KEY] = shown
    picked = st.selectbox(
        t("sweep.which"),
        list(by_id),
        format_func=lambda each: _label(by_id[each]),
        key=_KEY,
        on_change=choose,
        label_visibility="collapsed",
    )
    return by_id[picked]


def _label(sweep: Sweep) -> str:
    """As a list names it: what it varies, and when it was made."""
    return f"{sweep.title} · {moment(sweep.created_at)}"
