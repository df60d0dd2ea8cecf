"""The reader's own training, as a lesson goes along with it.

What is shown of a run that works is looked at again and again, without the page; at
its end the page is drawn once more, and nothing is looked at any longer.
"""

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from tinysae.errors import MissingError
from tinysae.jobs.status import JobStatus
from tinysae.lessons.calls.results import Stage
from tinysae.library.feature_source import FeatureSource, run_source
from tinysae.runs.store import Run, list_runs
from tinysae.ui.lessons.presenting import is_presenting
from tinysae.ui.lessons.stage import choose, own_run
from tinysae.ui.parts.job_words import run_label
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.parts.sae_names import show_list
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, page_link, plain, shown_errors
from tinysae.ui.train.run import show_failure
from tinysae.ui.train.work import progress_line

# How often a run that works is looked at, in seconds.
_LOOK_S = 1.0


def show_training(show_curve: Callable[[Stage], None]) -> None:
    """How the reader's run is, and what `show_curve` shows of it, for as long as it
    works.

    Raises:
        MissingError, DamagedError: the named one is not there any more.
    """
    run = own_run()
    if run is None:
        st.info(t("error.lesson_needs_run"))
        return
    _choose_run(run)
    stage = Stage(cache.loaded_model(run.config.model_name), run=run)
    is_working = run.status.is_working
    look = partial(_training, run, is_working, partial(show_curve, stage))
    st.fragment(look, run_every=_LOOK_S if is_working else None)()


def show_offer(source: FeatureSource, way_there: Mapping[str, str]) -> None:
    """Beside a step that asks an SAE: how the reader's own is, and a way to ask it.

    `way_there` is what a link to the training page carries.
    """
    run = own_run()
    if run is None:
        note(t("lessons.own_none"))
        return
    if source.id == run.id and source.is_open:
        # It can be asked before its training is over.
        note(t("lessons.own_asked"))
    elif run.status.is_working:
        st.fragment(partial(_coming, run), run_every=_LOOK_S)()
    elif run_source(run).readiness != "ready":
        note(t("lessons.own_unready", name=run.config.title))
        way = {**way_there, "run": run.id}
        page_link("train", t("lessons.to_train"), quiet=False, **way)
    else:
        st.button(
            t("lessons.take_own", name=plain(run.config.title)),
            icon=":material/swap_horiz:",
            key=f"lessons.own.{run.id}",
            on_click=choose,
            args=(run.id,),
        )


def _choose_run(run: Run) -> None:
    runs = list_runs()
    if len(runs) < 2 or is_presenting():
        return
    labels = {each.id: run_label(each) for each in runs}
    show_list(t("lessons.run"), labels, run.id, key="lessons.run", on_choice=choose)
    show_left_out(runs.unreadable)


def _training(run: Run, was_working: bool, show_curve: Callable[[], None]) -> None:
    """A look at a run: it may have gone on, ended or been deleted since the last."""
    with shown_errors():
        status = run.status
        if was_working and not status.is_working:
            st.rerun()
        _show_status(run, status)
        try:
            show_curve()
        except MissingError as error:
            # What is only not there yet is nobody's mistake; the status says the rest.
            if status.is_working:
                note(error.in_language(language()))
            else:
                note(t("lessons.run_no_curve"))


def _coming(run: Run) -> None:
    with shown_errors():
        status = run.status
        if not status.is_working:
            st.rerun()
        note(t("lessons.own_coming"))
        _show_status(run, status)


def _show_status(run: Run, status: JobStatus) -> None:
    if status.is_working:
        st.progress(status.share, plain(progress_line(run, status)))
        if run.stop_requested:
            note(t("train.stopping"))
    elif status.state == "done":
        st.markdown(f":material/check: {plain(t('lessons.run_done'))}")
    elif status.state == "failed":
        show_failure(status)
        note(t("lessons.run_failed"))
    else:
        st.warning(plain(t(f"lessons.run_{status.state}")))
