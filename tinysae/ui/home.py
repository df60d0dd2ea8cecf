"""What the home page shows, piece by piece."""

from datetime import datetime
from typing import Literal

import streamlit as st

from tinysae.runs.store import Run, State, list_runs
from tinysae.ui import cache
from tinysae.ui.i18n import t
from tinysae.ui.page import Page, empty_state, page_link, plain, shown_errors

WAYS: tuple[Page, ...] = ("playground", "train", "features")
# The newest are what somebody comes back for; the training page has them all.
MOST_RUNS = 5
REFRESH_S = 0.5

Colour = Literal["green", "red", "orange", "gray", "blue"]
_BADGE: dict[State, tuple[str, Colour]] = {
    "done": (":material/check:", "green"),
    "failed": (":material/error:", "red"),
    "interrupted": (":material/error:", "orange"),
    "stopped": (":material/stop:", "gray"),
}
_WORKING_BADGE: tuple[str, Colour] = (":material/progress_activity:", "blue")


def ways() -> None:
    """The three things to do here, one line each."""
    for column, page in zip(st.columns(3), WAYS, strict=True):
        with column.container(border=True, height="stretch"):
            st.subheader(t(f"home.way_{page}"), anchor=False)
            st.markdown(plain(t(f"home.way_{page}_what")))
            # The links of the three boxes stand on one line.
            st.space("stretch")
            page_link(page, t(f"home.way_{page}_link"))


def model() -> None:
    """The embedded model and how far its warm-up is; looks again until it is over."""
    st.subheader(t("home.model"), anchor=False)
    is_over = cache.warm_up_state().done
    st.fragment(_model, run_every=None if is_over else REFRESH_S)(is_over)


def _model(was_over: bool) -> None:
    with shown_errors():
        warm_up = cache.warm_up_state()
        if warm_up.done and not was_over:
            # One whole rerun, which leaves no timer behind.
            st.rerun()
        if warm_up.error:
            raise warm_up.error
        if not warm_up.done:
            st.status(t(f"common.warm_up_{warm_up.stage}"), state="running")
            return
        # By now it is imported; before, it would hold up the first paint.
        from tinysae.model.sources import STORYBOOK

        loaded = cache.loaded_model(STORYBOOK)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(t("home.model_ready"), icon=":material/check:", color="green")
            st.markdown(
                plain(
                    t(
                        "home.model_sizes",
                        n_layers=loaded.n_layers,
                        d_model=loaded.d_model,
                        d_vocab=f"{loaded.d_vocab:,}",
                        n_ctx=loaded.n_ctx,
                    )
                )
            )


def runs() -> None:
    """The newest runs, each with its state and where it leads."""
    st.subheader(t("home.runs"), anchor=False)
    newest = list_runs()[:MOST_RUNS]
    if not newest:
        empty_state("home.no_runs", page="train", link_key="home.no_runs_link")
    for run in newest:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            _run(run)


def _run(run: Run) -> None:
    state = run.status.state
    icon, colour = _BADGE.get(state, _WORKING_BADGE)
    started = datetime.fromtimestamp(run.created_at).strftime("%Y-%m-%d %H:%M")
    st.markdown(f"**{plain(run.config.title)}**  \n:small[{plain(started)}]")
    st.space("stretch")
    st.badge(t(f"train.state_{state}"), icon=icon, color=colour)
    page_link("train", t("home.run_curves"), run=run.id)
    if run.features_dir.is_dir():
        page_link("features", t("home.run_features"), run=run.id)
