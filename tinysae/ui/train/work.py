"""The run that works, under the button that starts one: how far it is, and Stop."""

from collections.abc import Sequence

import streamlit as st

from tinysae.jobs.status import JobStatus
from tinysae.jobs.turns import n_ahead
from tinysae.runs.store import Run
from tinysae.ui.parts.job_words import progress_text
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain, shown_errors

# Once a second a curve moves. Twice as often, a browser took half of a core for it, of
# the two that a training may have.
REFRESH_S = 1.0


def at_work(runs: Sequence[Run]) -> list[Run]:
    """Those that work, what has its turn before what waits for one."""
    statuses = [(run, run.status) for run in runs]
    working = [each for each in statuses if each[1].is_working]
    working.sort(key=lambda each: each[1].state == "queued")
    return [run for run, _ in working]


def told(shown: Run, working: Sequence[Run]) -> Run | None:
    """Of those at work the one whose progress is told: the shown, else the first."""
    own = (run for run in working if run.id == shown.id)
    return next(own, next(iter(working), None))


def show_work(run: Run) -> None:
    """How far it is, drawn again and again, and the button that stops it."""
    st.fragment(_progress, run_every=REFRESH_S)(run)


def _progress(run: Run) -> None:
    with shown_errors():
        status = run.status
        if not status.is_working:
            # One whole rerun, in which the estimate takes this place again.
            st.rerun()
        st.markdown(f":small[**{plain(run.config.title)}**]")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(status.share, progress_line(run, status))
            if run.stop_requested:
                st.caption(t("train.stopping"))
            elif st.button(
                t("train.stop"), help=t("train.stop_help"), key="train_stop"
            ):
                run.request_stop()


def progress_line(run: Run, status: JobStatus) -> str:
    """What a working run does; of one that waits, what for."""
    return progress_text(status, n_ahead(run) if status.state == "queued" else 0)
