"""What the home page shows, piece by piece."""

import os
from typing import Literal

import streamlit as st

from tinysae.jobs.status import State
from tinysae.model.sources import STORYBOOK
from tinysae.render.numbers import moment
from tinysae.runs.store import Run, list_runs
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import Page, empty_state, page_link, plain

WAYS: tuple[Page, ...] = ("playground", "train", "features")
# The newest are what somebody comes back for; the training page has them all.
MOST_RUNS = 5
FIRST_LESSON = "names"

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


def lesson() -> None:
    """The way to the first lesson."""
    page_link("lessons", t("home.lesson"), lesson=FIRST_LESSON)


def model() -> None:
    """The embedded model, once its warm-up is over; until then, how far that is."""
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
    found = list_runs()
    if not found:
        empty_state("home.no_runs", page="train", link_key="home.no_runs_link")
    for run in found[:MOST_RUNS]:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            _run(run)
    show_left_out(found.unreadable)


def _run(run: Run) -> None:
    state = run.status.state
    icon, colour = _BADGE.get(state, _WORKING_BADGE)
    st.markdown(f"**{plain(run.config.title)}**  \n:small[{moment(run.created_at)}]")
    st.space("stretch")
    st.badge(t(f"train.state_{state}"), icon=icon, color=colour)
    page_link("train", t("home.run_curves"), run=run.id)
    if os.path.isdir(run.features_dir):
        page_link("features", t("home.run_features"), run=run.id)
