"""Train: settings, Start, and a run's curves while it learns."""

import streamlit as st

from tinysae.config import TrainConfig
from tinysae.runs.store import Run, list_runs, open_run, start_run
from tinysae.sae.estimate import Estimate
from tinysae.ui.features import live as live_features
from tinysae.ui.parts.job_words import run_label
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import empty_state, page_link, page_setup, shown_errors
from tinysae.ui.train import run as run_view
from tinysae.ui.train import share
from tinysae.ui.train.curves import curves, show_curves
from tinysae.ui.train.form import show_form

# Twice a second: a curve that moves, at a few kilobytes a look.
REFRESH_S = 0.5


def main() -> None:
    page_setup("train")
    st.title(t("train.title"))
    with shown_errors():
        run_view.show_undo()
    runs = list_runs()
    run = linked_run(runs)
    # What moves comes first; another run can be started under it.
    is_live = run is not None and run.status.is_working
    if run is not None and is_live:
        with shown_errors():
            show_run(run, runs)
        st.divider()
        if not st.toggle(t("train.start_another"), key="train_another"):
            return
    else:
        st.markdown(t("train.intro"))
    with shown_errors():
        show_form(start)
    if not is_live:
        st.divider()
        with shown_errors():
            if run is None:
                empty_state("train.no_runs")
            else:
                show_run(run, runs)
    with shown_errors():
        show_left_out(runs.unreadable)
    with shown_errors():
        run_view.show_trash()


def start(config: TrainConfig, guess: Estimate | None) -> None:
    """Starts it, and shows it instead of the one that was shown."""
    st.query_params["run"] = start_run(config, guess and guess.to_json()).id
    st.session_state.pop("train_another", None)
    st.rerun()


def linked_run(runs: list[Run]) -> Run | None:
    """The run of the link; without a good link the newest, if there is one."""
    linked = st.query_params.get("run")
    with shown_errors():
        if linked:
            return open_run(linked)
    return runs[0] if runs else None


def show_run(run: Run, runs: list[Run]) -> None:
    labels = {each.id: run_label(each) for each in runs}
    run_view.choose_run(run, runs, labels)
    status = run.status
    is_working = status.is_working
    if not is_working:
        run_view.show_outcome(run, status)
        run_view.show_evaluation(run)
        if run.features_dir.is_dir():
            page_link("features", t("train.explore"), run=run.id)
        share.show_share(run)
    others = [each for each in runs if each.id != run.id]
    st.fragment(live, run_every=REFRESH_S if is_working else None)(
        run, others, labels, is_working
    )
    live_features.show_watched(run, is_working=is_working)
    live_features.show_kept_saes(run)
    run_view.show_details(run)


def live(
    run: Run, others: list[Run], labels: dict[str, str], was_working: bool
) -> None:
    """Progress, Stop and the curves; the only part that is drawn again and again."""
    with shown_errors():
        status = run.status
        if was_working and not status.is_working:
            # The end: one whole rerun shows what came of it, and no timer is left.
            st.rerun()
        own = curves(run)
        # What comes and goes above the curves has a place of its own: they would be
        # drawn anew if it moved them along.
        with st.container():
            if status.is_working:
                run_view.show_progress(run, status)
                live_features.show_offer(run)
            run_view.show_engine(run, own)
            run_view.show_advice(run, own)
        show_curves(run, own, others, labels)
        run_view.show_log(run)


main()
