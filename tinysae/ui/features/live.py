"""The features of a run that still trains, and what one of them was before."""

import pandas as pd
import streamlit as st

from tinysae.errors import InputError
from tinysae.features.index.history import Moment, has_moments, watched
from tinysae.features.index.search import MAX_QUERY_CHARACTERS, find_tokens
from tinysae.library.feature_source import (
    FeatureSource,
    feature_source,
    run_source,
    vocabulary_dir,
)
from tinysae.library.saved import add_sae
from tinysae.model.text.vocabulary import Vocabulary
from tinysae.render.numbers import NO_FIGURE
from tinysae.render.visible import visible
from tinysae.runs.checkpoints import SAE_NAME, checkpoints
from tinysae.runs.live import (
    live_index_requested,
    live_indexes,
    request_live_index,
)
from tinysae.runs.store import Run, open_run
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import link_parameters, t
from tinysae.ui.shell.page import PAGES, page_link, plain, shown_errors

# What a page that is open looks for: indexes come three times a minute at most.
LOOK_S = 2.0
# The storybook's commonest name.
WATCHED = "Lily"


def show_offer(run: Run) -> None:
    """The way to the features of a run that works, or the button that asks for them."""
    found = live_indexes(run)
    if found and is_of_the_end(run, found[-1].step):
        page_link("features", t("train.explore_end"), run=run.id)
    elif found:
        step = f"{found[-1].step:,}"
        page_link("features", t("train.explore_live", step=step), run=run.id)
    elif live_index_requested(run):
        st.caption(t("train.explore_soon"))
    elif run.status.state == "training":
        st.button(
            t("train.explore_now"),
            icon=":material/hub:",
            help=t("train.explore_now_help"),
            key="train_explore_now",
            on_click=request_live_index,
            args=(run,),
        )


def is_of_the_end(run: Run, step: int) -> bool:
    """Whether nothing was learnt after that step: what follows is measured."""
    return step == run.config.total_training_steps


def show_waiting(source: FeatureSource) -> None:
    """That there is nothing to look at yet, what there is to do, and the page itself as
    soon as there is."""
    with st.container(border=True):
        st.markdown(plain(t("features.why_working", name=source.name)))
        st.fragment(_wait, run_every=LOOK_S)(source.id)
        page_link("train", t("features.to_training"), run=source.id)


def _wait(run_id: str) -> None:
    with shown_errors():
        run = open_run(run_id)
        if run_source(run).readiness != "working":
            st.rerun()
        show_offer(run)


def show_bar(source: FeatureSource) -> None:
    """Which step the features on the page are of, and whether there are newer ones;
    nothing for those of a run that is done.

    They are not put in the place of what somebody is reading.
    """
    if source.step is not None:
        st.fragment(_bar, run_every=LOOK_S)(source.id, source.step)


def _bar(run_id: str, step: int) -> None:
    with (
        shown_errors(),
        st.container(border=True, horizontal=True, vertical_alignment="center"),
    ):
        run = open_run(run_id)
        if is_of_the_end(run, step):
            st.markdown(t("features.live_end"))
        else:
            st.markdown(t("features.live", step=f"{step:,}"))
        source = feature_source(run_id)
        if source.step == step:
            if live_index_requested(run):
                st.caption(t("train.explore_soon"))
            elif run.status.state == "training":
                st.button(
                    t("features.live_again"),
                    icon=":material/refresh:",
                    key="features.live_again",
                    on_click=request_live_index,
                    args=(run,),
                )
            return
        if source.step is None:
            said = t("features.live_over")
        else:
            said = t("features.live_newer", step=f"{source.step:,}")
        st.markdown(f"**{said}**")
        if st.button(t("features.live_show"), type="primary", key="features.live_show"):
            st.rerun()


def show_kept_saes(run: Run) -> None:
    """The SAEs of its kept checkpoints, to be opened like those from elsewhere."""
    kept = {c.step: c.path / SAE_NAME for c in checkpoints(run) if c.is_kept}
    if not kept:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        step = st.selectbox(
            t("train.kept"),
            list(kept),
            format_func=lambda step: f"{step:,}",
            key=f"train_kept_{run.id}",
            help=t("train.kept_help"),
            width=260,
        )
        if st.button(t("train.kept_open"), icon=":material/hub:", key="train_kept"):
            saved = add_sae(str(kept[step]), run.config.model_name)
            path, _ = PAGES["features"]
            st.switch_page(path, query_params={"run": saved.id, **link_parameters()})


def show_watched(run: Run, *, is_working: bool) -> None:
    """How a feature became what it is: the one that fires best on a word."""
    st.fragment(_watched, run_every=LOOK_S if is_working else None)(run)


def _watched(run: Run) -> None:
    folder = vocabulary_dir(run)
    if folder is None or not has_moments(run.history_dir):
        return
    st.subheader(t("train.watched"), anchor=False)
    st.caption(t("train.watched_how"))
    word = st.text_input(
        t("train.watched_word"),
        WATCHED,
        key="train_watched",
        max_chars=MAX_QUERY_CHARACTERS,
        width=260,
    )
    with shown_errors():
        vocabulary = cache.vocabulary(folder)
        try:
            token = find_tokens(vocabulary, word).token
        except InputError:
            # Nobody typed what stands there at first: it may be no word of this model.
            if word == WATCHED:
                return
            raise
        feature, moments = watched(run.history_dir, token, len(vocabulary))
        name = visible(vocabulary.text(token))
        if feature is None:
            st.info(plain(t("train.watched_none", token=name)))
            return
        st.markdown(
            plain(t("train.watched_feature", feature=feature, token=name)),
        )
        _show_moments(moments, vocabulary)
        page_link(
            "features",
            t("train.watched_open", feature=feature),
            run=run.id,
            feature=str(feature),
        )


def _show_moments(moments: list[Moment], vocabulary: Vocabulary) -> None:
    def texts(tokens: list[int]) -> list[str]:
        return [visible(vocabulary.text(token)) for token in tokens]

    data = pd.DataFrame(
        {
            "step": [moment.step for moment in moments],
            "share": [moment.share for moment in moments],
            "tokens": [texts(moment.tokens) for moment in moments],
            "promoted": [texts(moment.promoted) for moment in moments],
            "best": [moment.best for moment in moments],
        }
    ).astype({"share": "Float64", "best": "Int64"})
    columns = st.column_config
    st.dataframe(
        data,
        key="train_watched_moments",
        placeholder=NO_FIGURE,
        hide_index=True,
        column_config={
            "step": columns.NumberColumn(t("train.watched_step"), width=80),
            "share": columns.NumberColumn(
                t("train.watched_share"),
                help=t("train.watched_share_help"),
                format="percent",
                width=100,
            ),
            "tokens": columns.ListColumn(t("train.watched_tokens"), width=255),
            "promoted": columns.ListColumn(t("train.watched_promoted"), width=255),
            "best": columns.NumberColumn(
                t("train.watched_best"), help=t("train.watched_best_help"), width=100
            ),
        },
    )
