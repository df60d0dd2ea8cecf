"""Beside the frontier: the chosen SAE, and the result that a tutorial published."""

import streamlit as st

from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.library.text_read import text_name
from tinysae.model.names import shown_name
from tinysae.runs.baseline import SHARED, TUTORIAL, differences
from tinysae.runs.compare import Compared, Value
from tinysae.ui.experiments.entries import entry_name, figure_text, source_of
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, page_link, plain

# Rows of the table: figures, then what makes them comparable, then how large.
FIGURES = ("ce_loss_score", "l0", "explained_variance", "dead_share")
SIZES = ("d_sae", "training_tokens")


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
        st.markdown(_table(entry))
        note(_verdict(entry))


def _table(entry: Compared) -> str:
    """Figure by figure and fact by fact: its own, the tutorial's."""
    lines = [
        f"| | {t('experiments.this_one')} | {t('experiments.tutorial')} |",
        "|---|---|---|",
    ]
    for name in (*FIGURES, *SHARED, *SIZES):
        own = _said(name, entry.value(name))
        theirs = _said(name, TUTORIAL.figures.get(name, TUTORIAL.settings.get(name)))
        lines.append(f"| {t(f'experiments.figure_{name}')} | {own} | {theirs} |")
    return "\n".join(lines)


def _said(name: str, value: Value) -> str:
    """A cell; what is no number may be anybody's text."""
    if name == "model_name" and isinstance(value, str):
        return plain(shown_name(value))
    if name == "dataset_path" and isinstance(value, str):
        return plain(text_name(value, language()))
    return plain(figure_text(name, value))


def _verdict(entry: Compared) -> str:
    other = differences(entry)
    source = TUTORIAL.source
    if not other:
        return t("experiments.baseline_same", source=source)
    named = ", ".join(t(f"experiments.other_{name}") for name in other)
    return t("experiments.baseline_other", what=named, source=source)
