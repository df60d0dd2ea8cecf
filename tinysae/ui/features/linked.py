"""Which feature the address names, and why there may be none to look at."""

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.checked_numbers import typed_whole
from tinysae.errors import InputError
from tinysae.library.feature_source import FeatureSource
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import page_link, plain

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex


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
