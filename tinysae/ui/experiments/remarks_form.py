"""What a reader keeps about one run: tags and a note."""

import streamlit as st

from tinysae.runs.remarks import MAX_NOTE, MAX_TAG, MAX_TAGS, keep_remarks, remarks
from tinysae.runs.store import Run
from tinysae.ui.parts.job_words import run_label
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain, shown_errors


def show_remarks(run: Run) -> None:
    """The form; what is typed is on disk when it says so."""
    with shown_errors():
        kept = remarks(run)
        st.markdown(f"**{plain(run_label(run))}**")
        with st.form(f"experiments.remarks.{run.id}", border=False):
            tags = st.text_input(
                t("experiments.figure_tags"),
                ", ".join(kept.tags),
                max_chars=MAX_TAGS * (MAX_TAG + 2),
                key=f"experiments.tags.{run.id}",
                help=t("experiments.tags_help"),
            )
            text = st.text_area(
                t("experiments.figure_note"),
                kept.note,
                max_chars=MAX_NOTE,
                key=f"experiments.note.{run.id}",
            )
            if st.form_submit_button(t("experiments.keep")):
                keep_remarks(run, note=text, tags=tags)
                # The table above has them too.
                st.rerun()
