"""The run that works, under the button that starts one: how far it is, and Stop."""

from collections.abc import Sequence

import streamlit as st

from tinysae.jobs.status import JobStatus
from tinysae.jobs.turns import n_ahead
from tinysae.runs.store import Run
from tinysae.ui.parts.job_words import progress_text
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain, shown_errors

REFRESH_S = 0.5


def of(shown: Run, runs: Sequence[Run]) -> Run | None:
    """The run whose work is told: the shown one's, else one that has its turn."""
    working = [run for run in (shown, *runs) if run.status.is_working]
    working.sort(key=lambda run: (run.id != shown.id, run.status.state == "queued"))
    return next(iter(working), None)


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
