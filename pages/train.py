"""Train: a new run on the left, the curves of one on the right, all runs below."""

import streamlit as st

from tinysae.config import TrainConfig
from tinysae.jobs import launch
from tinysae.runs.store import Run, list_runs, open_run, start_run
from tinysae.sae.estimate import Estimate
from tinysae.ui.features import live as live_features
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.shell.choice import choice, choose
from tinysae.ui.shell.chosen import Chosen, chosen
from tinysae.ui.shell.page import page_setup, shown_errors
from tinysae.ui.train import doctor, runs_table, share, work
from tinysae.ui.train import run as run_view
from tinysae.ui.train.curves import choose_drawing, curves, show_curves
from tinysae.ui.train.form import show_form
from tinysae.ui.train.shipped_run import is_shipped, shipped_run
from tinysae.ui.train.steering import show_steering


def main() -> None:
    page_setup("train")
    here = chosen("train")
    runs = list_runs()
    working = work.at_work(runs)
    run = shown_run(here, runs, working)
    # A grid (page.css): the form and all runs, the picture beside them; on a phone one
    # under another, the runs last.
    with st.container(key="train_split"):
        with st.container(key="train_form"), shown_errors():
            show_form(start, here.model, runs, work.told(run, working))
        with st.container(key="train_picture"), shown_errors():
            show_run(run, runs)
        with st.container(key="train_runs"), shown_errors():
            runs_table.show_runs(runs, run)
            show_left_out(runs.unreadable)
            run_view.show_trash()
    with shown_errors():
        show_more(run)
    if not working:
        # Whoever looks at this page is likely to press Start, or Resume.
        launch.make_ready()


def start(config: TrainConfig, guess: Estimate | None) -> None:
    """Starts it, and shows it instead of the one that was shown."""
    choose(run=start_run(config, guess and guess.to_json()).id)
    st.rerun()


def shown_run(here: Chosen, runs: list[Run], working: list[Run]) -> Run:
    """The chosen SAE's, where that is a run; else what works, the newest one, or the
    shipped one."""
    newest = runs[0] if runs else shipped_run()
    # The sidebar's SAE is chosen for the other pages then: a run has yet to have one.
    if choice().run is None:
        return working[0] if working else newest
    if here.source is not None:
        for run in (*runs, shipped_run()):
            if run.id == here.source.id:
                # As it is now: the list may be a moment old.
                return run if is_shipped(run) else open_run(run.id)
    return newest


def show_run(run: Run, runs: list[Run]) -> None:
    """Its state and its curves; what works is drawn again and again by itself."""
    is_working = run.status.is_working
    st.fragment(live, run_every=work.REFRESH_S if is_working else None)(
        run, runs, is_working
    )


def live(run: Run, runs: list[Run], was_working: bool) -> None:
    """What is drawn again and again: how the run stands, and its curves."""
    with shown_errors():
        status = run.status
        if was_working and not status.is_working:
            # The end: one whole rerun shows what came of it, and no timer is left.
            st.rerun()
        own = curves(run)
        # Of one height, whatever is said: the curves below never move.
        with st.container(key="train_state", gap="xsmall"):
            run_view.show_state(run, status)
            with st.container(horizontal=True, vertical_alignment="center"):
                run_view.show_ways_on(run, status)
                st.space("stretch")
                drawing = choose_drawing()
        show_curves(run, own, runs_table.ticked(runs), drawing)
        run_view.show_evaluation(run)
        show_steering(run)
        doctor.show_doctor(run, own, runs, start)
        run_view.show_engine(run, own)


def show_more(run: Run) -> None:
    """What one looks at once: a feature over the training, files, settings, the log."""
    if not is_shipped(run):
        live_features.show_watched(run, is_working=run.status.is_working)
        live_features.show_kept_saes(run)
        share.show_share(run)
    run_view.show_details(run)
    if not is_shipped(run):
        st.fragment(run_view.show_log)(run)


main()
