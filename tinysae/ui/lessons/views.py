"""A lesson's pictures, with the pieces that the other pages draw with."""

from collections.abc import Sequence

import streamlit as st

from tinysae.lessons.calls.results import Bars, Strip, Table, View
from tinysae.render import svg
from tinysae.render.numbers import percent
from tinysae.render.visible import visible
from tinysae.ui.lessons.presenting import CHART
from tinysae.ui.parts.drawing import drawing
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain


def show_views(views: Sequence[View], *, key: str) -> None:
    """Each under what it shows; `key` is of the step."""
    for number, view in enumerate(views):
        title = t(f"lessons.view_{view.title}")
        place = f"{key}.{number}"
        match view:
            case Strip():
                _show_strip(view, title, place)
            case Bars():
                st.markdown(f"**{plain(title)}**")
                labels = bar_labels(view)
                # A presenter's grow with the text around them (`presenting`).
                with st.container(key=f"{CHART}.{place}"):
                    bars = svg.bars(
                        labels, view.values, title=title, are_shares=view.are_shares
                    )
                    drawing(bars, key=place)
            case Table():
                st.markdown(f"**{plain(title)}**")
                heads = [column(name) for name in view.columns]
                # A dataframe scrolls by itself on a phone; texts want to be read.
                st.table(
                    [
                        {
                            plain(head): plain(cell)
                            for head, cell in zip(heads, row, strict=True)
                        }
                        for row in view.rows
                    ]
                )


def bar_labels(view: Bars) -> list[str]:
    """What stands beside the bars, in the reader's language."""
    if not view.named:
        return view.labels
    return [
        label if label.startswith("#") else t(f"lessons.bar_{label}")
        for label in view.labels
    ]


def column(name: str) -> str:
    """A column's head: a feature's number, or a word."""
    return name if name.startswith("#") else t(f"lessons.column_{name}")


def _show_strip(view: Strip, title: str, key: str) -> None:
    if not view.high:
        # A quotation would be too pale to read.
        with st.container(border=True):
            st.markdown(plain("".join(view.texts)) + "…")
        return
    label = t("lessons.value")
    tokens = [
        StripToken(
            text,
            value,
            ((label, percent(value) if view.high <= 1 else f"{value:.2f}"),)
            if value is not None
            else ((label, visible("0")),),
        )
        for text, value in zip(view.texts, view.values, strict=True)
    ]
    high = view.high
    token_strip(
        tokens,
        key=key,
        scale="sequential",
        low=0.0,
        high=high,
        ends=("0", percent(high) if high <= 1 else f"{high:.1f}"),
        legend=title,
    )
