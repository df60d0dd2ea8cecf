"""What the home page shows, piece by piece."""

import os

import streamlit as st

from tinysae.model.sources import STORYBOOK
from tinysae.render.numbers import moment
from tinysae.runs.store import Run, list_runs
from tinysae.ui.parts.job_words import badge_of
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import link_parameters, t
from tinysae.ui.shell.page import (
    PAGES,
    Page,
    empty_state,
    note,
    page_link,
    plain,
    shown_errors,
)

WAYS: tuple[Page, ...] = ("playground", "why", "train")
# The newest are what somebody comes back for; the training page has them all.
MOST_RUNS = 5
FIRST_LESSON = "names"


def lesson() -> None:
    """The button that leads: the first lesson."""
    if st.button(
        t("home.lesson"), type="primary", icon=":material/school:", key="home_lesson"
    ):
        st.switch_page(
            PAGES["lessons"][0],
            query_params={"lesson": FIRST_LESSON, **link_parameters()},
        )


def ways() -> None:
    """The three things to do here, one line each."""
    for column, page in zip(st.columns(3), WAYS, strict=True):
        with column.container(border=True, height="stretch", key=f"home_way_{page}"):
            page_link(page, t(f"home.way_{page}"))
            note(t(f"home.way_{page}_what"))


def model() -> None:
    """The embedded model, once its warm-up is over; until then, how far that is.

    By itself: whoever points at a word meanwhile does not wait for it.
    """
    is_over = cache.warm_up_state().done
    st.fragment(_model, run_every=None if is_over else cache.LOOK_EVERY_S)(
        was_over=is_over
    )


def _model(*, was_over: bool) -> None:
    with shown_errors():
        state = cache.warm_up_state()
        if not state.done:
            note(t(f"common.warm_up_{state.stage}"))
            return
        if not was_over:
            st.rerun()
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
    icon, colour = badge_of(state)
    st.markdown(f"**{plain(run.config.title)}**  \n:small[{moment(run.created_at)}]")
    st.space("stretch")
    st.badge(t(f"train.state_{state}"), icon=icon, color=colour)
    page_link("train", t("home.run_curves"), run=run.id)
    if os.path.isdir(run.features_dir):
        page_link("features", t("home.run_features"), run=run.id)
