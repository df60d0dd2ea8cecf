"""SAEs from elsewhere on the features page: to collect features of."""

import streamlit as st

from tinysae.config import TextChoice, TrainConfig
from tinysae.jobs import launch
from tinysae.library import saved_text
from tinysae.library.feature_source import FeatureSource
from tinysae.library.saved import SavedSAE, saved_sae
from tinysae.model.names import shown_name
from tinysae.ui.parts.job_words import progress_text
from tinysae.ui.shell.i18n import recorded, t
from tinysae.ui.shell.page import note, plain, shown_errors
from tinysae.ui.train.text_chooser import choose_text, what_is_missing

# As the training page: often enough to move.
REFRESH_S = 0.5


def show_indexing(source: FeatureSource) -> None:
    """How far the collecting of its features is, or the button that starts it."""
    is_working = source.readiness == "working"
    st.fragment(_indexing, run_every=REFRESH_S if is_working else None)(
        source.id, is_working
    )


def _indexing(source_id: str, was_working: bool) -> None:
    with shown_errors():
        saved = saved_sae(source_id)
        status = saved.status
        if status.is_working:
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.progress(status.share, progress_text(status))
            if saved.stop_requested:
                left.caption(t("train.stopping"))
            elif right.button(t("train.stop"), key="features.index_stop"):
                saved.request_stop()
            if not was_working:
                st.rerun()
            return
        if was_working:
            # The end: one whole rerun shows what came of it, and no timer is left.
            st.rerun()
        _show_start(saved)


def _show_start(saved: SavedSAE) -> None:
    status = saved.status
    with st.container(border=True):
        if status.state == "failed":
            said = t("error.worker_failed")
            st.error(plain(recorded(status.error, status.error_values, said)))
        why = t(
            "features.why_saved",
            name=saved.title,
            path=str(saved.directory),
            model=shown_name(saved.model_name),
        )
        st.markdown(plain(why))
        text = _choose_text(saved)
        if missing := what_is_missing(text):
            st.info(plain(missing))
        if st.button(
            t("features.collect"),
            type="primary",
            icon=":material/play_arrow:",
            disabled=missing is not None,
        ):
            saved_text.choose_text(saved, text)
            launch.launch(saved, "index")
            st.rerun()


def _choose_text(saved: SavedSAE) -> TextChoice:
    """The text that it will read; what is suggested, and why, unless another is
    chosen."""
    suggested, why = saved_text.suggested(saved)
    place = st.container()
    chosen = choose_text(saved_text.as_settings(suggested), f"collect_{saved.id}")
    text = TrainConfig(**chosen).text
    if why != "chosen" and text.path == suggested.path:
        with place:
            note(t(f"features.collect_{why}"))
    return text
