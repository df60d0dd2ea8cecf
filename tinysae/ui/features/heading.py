"""What stands above everything else on the features page: whose features, and steps."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from tinysae.checked_numbers import typed_whole
from tinysae.errors import InputError
from tinysae.library.feature_source import (
    FeatureSource,
    default_source,
    feature_source,
    feature_sources,
)
from tinysae.ui.features.explored import Explored, go
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.parts.sae_names import show_list, source_label
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import page_link, plain

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex


def choose_source() -> FeatureSource:
    """The SAE of the link, else the newest finished run's, else the embedded one.

    Raises:
        InputError, MissingError, DamagedError: the link's run cannot be opened; the
            list to choose another from is drawn all the same.
    """
    found = feature_sources()
    sources = {source.id: source for source in found}
    shown = st.query_params.get("run") or default_source(found).id
    labels = {source.id: source_label(source) for source in found}
    show_list(
        t("features.choose_run"),
        labels,
        shown,
        key="features.run",
        on_choice=lambda run: go(run=run),
        placeholder=t("features.choose_run_placeholder"),
    )
    show_left_out(found.unreadable)
    return sources.get(shown) or feature_source(shown)


def show_why_not(source: FeatureSource) -> None:
    """Say why a source has no features to look at, and what to do about it."""
    with st.container(border=True):
        why = t(f"features.why_{source.readiness}", name=source.name, id=source.id)
        st.markdown(plain(why))
        page_link("train", t("features.to_training"), run=source.id)


def linked_feature(index: "FeatureIndex") -> int | None:
    """The link's feature; None when it names none.

    Raises:
        InputError: it is not a number, or not one of this SAE's.
    """
    linked = st.query_params.get("feature")
    if not linked:
        return None
    if (feature := typed_whole(linked, index.info.d_sae)) is not None:
        return feature
    raise InputError("features_unknown", feature=linked[:40], last=index.info.d_sae - 1)


def show_steps(feature: int | None, explored: Explored) -> None:
    """The ways to other features: all, previous, a number, next, a random one."""
    last = explored.index.info.d_sae - 1
    key = "features.number"
    st.session_state[key] = feature
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if feature is not None:
            is_found = bool(st.query_params.get("q"))
            st.button(
                t("features.back_to_search" if is_found else "features.all"),
                icon=":material/search:" if is_found else ":material/apps:",
                on_click=go,
            )
            st.button(
                t("features.previous"),
                icon=":material/chevron_left:",
                disabled=feature == 0,
                on_click=go,
                kwargs={"feature": feature - 1},
            )
        st.number_input(
            t("features.number"),
            min_value=0,
            max_value=last,
            step=1,
            value=None,
            placeholder=f"0 – {last}",
            key=key,
            help=t("features.number_help", last=last),
            width=160,
            on_change=lambda: go(feature=st.session_state[key]),
        )
        if feature is not None:
            st.button(
                t("features.next"),
                icon=":material/chevron_right:",
                icon_position="right",
                disabled=feature == last,
                on_click=go,
                kwargs={"feature": feature + 1},
            )
        st.button(
            t("features.random"),
            icon=":material/casino:",
            help=t("features.random_help"),
            disabled=not explored.live,
            on_click=lambda: go(
                feature=int(np.random.default_rng().choice(explored.live))
            ),
        )
