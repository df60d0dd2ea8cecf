"""Below the picture: files that keep it, and the Python that computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import more
from tinysae.ui.why.machine_file import machine_file

if TYPE_CHECKING:
    from tinysae.features.why.picture import Picture
    from tinysae.ui.why.ask import Question


def show_take_along(
    question: Question, picture: Picture, data: Mapping[str, Any]
) -> None:
    """What is drawn, `data`, as a page that plays offline, and how to compute it."""
    from tinysae.features.why.attribution_table import picture_code

    with more("why_take", t("why.share")):
        st.download_button(
            t("why.take_html"),
            lambda: machine_file(data).encode(),
            "inside.html",
            "text/html",
            key="why.take_html",
        )
        st.markdown(t("why.python"))
        code = picture_code(
            question.model, picture.attribution, question.source.sae_dir
        )
        st.code(code, language="python")
