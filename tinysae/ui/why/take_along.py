"""Below the picture: files that keep it, and the Python that computes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.render.visible import encodable
from tinysae.ui.parts.download import download_button
from tinysae.ui.parts.feature_names import feature_name
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import more
from tinysae.ui.why.layers import at_hand, usable_sae
from tinysae.ui.why.machine_file import machine_file

if TYPE_CHECKING:
    from tinysae.features.why.graph import Node
    from tinysae.features.why.picture import Picture
    from tinysae.ui.why.ask import Question


def show_take_along(
    question: Question, picture: Picture, data: Mapping[str, Any]
) -> None:
    """What is drawn, `data`, as a page that plays offline, and how to compute it."""
    from tinysae.features.why.attribution_table import picture_code

    with more("why_take", t("why.share")):
        download_button(
            t("why.take_html"),
            lambda: machine_file(data).encode(),
            "inside.html",
            "text/html",
            key="why.take_html",
        )
        download_button(
            t("why.take_json"),
            lambda: _graph(question),
            "inside.json",
            "application/json",
            key="why.take_json",
        )
        st.markdown(t("why.python"))
        code = picture_code(
            question.model, picture.attribution, question.source.sae_dir
        )
        st.code(code, language="python")


def _graph(question: Question) -> bytes:
    """With the features of every SAE of this model that is at hand, one a hook."""
    from tinysae.features.why.graph import graph_of
    from tinysae.features.why.graph_json import graph_json

    sources = at_hand(question)
    usable = [usable_sae(source, question) for source in sources.values()]
    saes = [sae for sae in usable if sae is not None]
    graph = graph_of(
        question.model, question.ids, question.target, question.other, saes
    )

    def name(node: Node) -> str:
        try:
            return feature_name(sources[node.hook_name or ""], node.number or 0)
        except TinysaeError:
            # Without an index it has its number alone.
            return ""

    made = graph_json(question.model, graph, name)
    return encodable(json.dumps(made, ensure_ascii=False, indent=1)).encode()
