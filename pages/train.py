"""Train: settings, Start, and a run's curves while it learns."""

import streamlit as st

from tinysae.runs.launch import launch, request_stop, start, stop_requested
from tinysae.runs.store import Run, list_runs, open_run
from tinysae.ui import training
from tinysae.ui.i18n import t
from tinysae.ui.page import empty_state, page_link, page_setup, shown_errors

# Twice a second: a curve that moves, at a few kilobytes a look.
REFRESH_S = 0.5


def main() -> None:
    page_setup("train")
    st.title(t("train.title"))
    runs = list_runs()
    run = linked_run(runs)
    with shown_errors():
        if run is not None and run.status.is_working:
            # What moves comes first; there is nothing to start before it has ended.
            choose_run(run, runs)
            show_run(run)
            return
    st.markdown(t("train.intro"))
    with shown_errors():
        config = training.config_form()
        if config is not None:
            st.query_params["run"] = start(config).id
            st.rerun()
    st.divider()
    with shown_errors():
        if run is None:
            empty_state("train.no_runs")
        else:
            choose_run(run, runs)
            show_run(run)


def linked_run(runs: list[Run]) -> Run | None:
    """The run of the link; without a good link the newest, if there is one."""
    linked = st.query_params.get("run")
    with shown_errors():
        if linked:
            return open_run(linked)
    return runs[0] if runs else None


def choose_run(run: Run, runs: list[Run]) -> None:
    """The list of runs, with `run` chosen; another choice becomes the page's link."""
    ids = [run.id for run in runs]
    labels = {run.id: training.run_label(run) for run in runs}
    choice = st.selectbox(
        t("train.choose_run"),
        ids,
        index=ids.index(run.id),
        format_func=labels.__getitem__,
        # Keyed by the link: another link is another choice, not this one's memory.
        key=f"train_choice_{run.id}",
    )
    if choice != run.id:
        st.query_params["run"] = choice
        st.rerun()


def show_run(run: Run) -> None:
    status = run.status
    is_working = status.is_working
    st.fragment(live, run_every=REFRESH_S if is_working else None)(run, is_working)
    if status.state == "failed":
        training.show_failure(status)
    elif status.state == "interrupted":
        st.warning(t("train.interrupted_why"))
    elif status.state == "stopped" and not run.features_dir.is_dir():
        st.info(t("train.stopped_why"))
        if st.button(t("train.index_now")):
            launch(run, "index")
            st.rerun()
    if not is_working:
        training.show_evaluation(run)
    if run.features_dir.is_dir():
        page_link("features", t("train.explore"), run=run.id)
    training.show_details(run)


def live(run: Run, was_working: bool) -> None:
    """Progress, Stop and the curves; the only part that is drawn again and again."""
    with shown_errors():
        status = run.status
        if was_working and not status.is_working:
            # The end: one whole rerun shows what came of it, and no timer is left.
            st.rerun()
        if status.is_working:
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.progress(status.share, training.progress_text(status))
            if stop_requested(run.path):
                left.caption(t("train.stopping"))
            elif right.button(t("train.stop"), help=t("train.stop_help")):
                request_stop(run)
        training.show_curves(run, training.curve(run))


main()
