"""Beside the frontier: the chosen SAE, and the result that a tutorial published."""

import html

import streamlit as st

from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.render.visible import shortened
from tinysae.runs.baseline import SHARED, TUTORIAL, differences
from tinysae.runs.compare import Compared, Value
from tinysae.ui.experiments.entries import (
    entry_name,
    figure_text,
    setting_text,
    source_of,
)
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link, plain

# Rows of the table: figures, then what makes them comparable, then how large.
FIGURES = ("ce_loss_score", "l0", "explained_variance", "dead_share")
SIZES = ("d_sae", "training_tokens")
# Of what is no number: as many as a third of the card has room for, in two lines.
CELL_LETTERS = 32


def show_beside(entry: Compared) -> None:
    """Its name, where else it is, and its figures beside the tutorial's."""
    with st.container(border=True, key="experiments_beside", gap="small"):
        st.markdown(f"##### {plain(entry_name(entry))}")
        with st.container(horizontal=True, key="experiments_links"):
            source = source_of(entry)
            if source is not None and source.is_open:
                page_link("features", t("experiments.to_features"), run=entry.id)
            if entry.kind == "run" or entry.id == STORYBOOK_SAE:
                page_link("train", t("experiments.to_train"), run=entry.id)
        # Its place is there before Streamlit has fetched what draws it (page.css).
        with st.container(key="experiments_figures"):
            st.html(_table(entry))
        note(_verdict(entry))


def _table(entry: Compared) -> str:
    """Figure by figure and fact by fact: its own, the tutorial's."""
    heads = ("", t("experiments.this_one"), t("experiments.tutorial"))
    lines = [_row("th", *heads)]
    for name in (*FIGURES, *SHARED, *SIZES):
        theirs = TUTORIAL.figures.get(name, TUTORIAL.settings.get(name))
        cells = (_said(name, value) for value in (entry.value(name), theirs))
        lines.append(_row("td", t(f"experiments.figure_{name}"), *cells))
    return f'<table class="figures">{"".join(lines)}</table>'


def _row(tag: str, *cells: str) -> str:
    return (
        f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
    )


def _said(name: str, value: Value) -> str:
    """A cell; what is no number may be anybody's text."""
    if isinstance(value, str):
        return shortened(setting_text(name, value), CELL_LETTERS)
    return figure_text(name, value)


def _verdict(entry: Compared) -> str:
    other = differences(entry)
    source = TUTORIAL.source
    if not other:
        return t("experiments.baseline_same", source=source)
    named = ", ".join(t(f"experiments.other_{name}") for name in other)
    return t("experiments.baseline_other", what=named, source=source)
