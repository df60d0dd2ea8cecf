"""To open an SAE from elsewhere: a folder, a zip, the hub, SAELens's list."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from tinysae.jobs import launch
from tinysae.jobs.files import MAX_PATH_CHARACTERS
from tinysae.library.imports import import_zip, import_zip_at, is_zip
from tinysae.library.registry import find_entries
from tinysae.library.saved import add_sae
from tinysae.library.transfers import (
    COMMAND,
    Transfer,
    fetch_from_hub,
    fetch_from_registry,
)
from tinysae.render.numbers import NO_FIGURE
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.parts.transfer_progress import newest, show_transfer
from tinysae.ui.shell.choice import choose
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, plain, shown_errors

# Through the browser, in megabytes, into this server's memory; a larger zip is typed as
# a path.
MAX_UPLOAD_MB = 500
MAX_QUERY_CHARACTERS = 200
N_SHOWN = 50


def show_opener() -> None:
    """The ways in, one at a time."""
    with shown_errors():
        st.markdown(f"**{t('features.open_sae')}**")
        names = {way: t(f"saes.from_{way}") for way in _WAYS}
        _WAYS[one_of(t("saes.from"), names, "folder", key="saes.from")]()


def show_fetching() -> None:
    """The SAE that is being fetched, if one is."""
    if (fetching := newest(("hub", "registry"))) is not None:
        with shown_errors():
            show_transfer(fetching)


def _show_folder() -> None:
    note(t("features.open_sae_how"))
    with st.form("features.open_sae", border=False):
        path = st.text_input(t("features.open_sae_path"), max_chars=MAX_PATH_CHARACTERS)
        model = _model_field()
        if st.form_submit_button(t("features.open_sae_now")):
            with st.spinner(t("saes.reading")):
                take_in = import_zip_at if is_zip(path) else add_sae
                choose(run=take_in(path, model).id)
            st.rerun()


def _model_field() -> str:
    return st.text_input(
        t("features.open_sae_model"),
        max_chars=MAX_PATH_CHARACTERS,
        help=t("features.open_sae_model_help"),
    )


def _show_zip() -> None:
    note(t("saes.zip_how"))
    with st.form("saes.zip", border=False):
        uploaded = st.file_uploader(
            t("saes.zip"), type="zip", max_upload_size=MAX_UPLOAD_MB, key="saes.zip"
        )
        model = _model_field()
        if st.form_submit_button(t("features.open_sae_now")):
            if uploaded is None:
                st.info(t("saes.zip_none"))
                return
            with st.spinner(t("saes.reading")):
                choose(run=import_zip(uploaded, uploaded.name, model or None).id)
            st.rerun()


def _show_hub() -> None:
    note(t("saes.hub_how"))
    with st.form("saes.hub", border=False):
        repo_id = st.text_input(
            t("saes.repo"), placeholder="name/my-sae", max_chars=200, key="saes.repo"
        )
        left, right = st.columns(2)
        subfolder = left.text_input(
            t("saes.subfolder"),
            help=t("saes.subfolder_help"),
            max_chars=1024,
            key="saes.subfolder",
        )
        revision = right.text_input(
            t("saes.revision"), placeholder="main", max_chars=200, key="saes.revision"
        )
        if st.form_submit_button(t("saes.fetch"), icon=":material/download:"):
            _start(fetch_from_hub(repo_id, subfolder, revision))


def _start(transfer: Transfer) -> None:
    launch.launch(transfer, COMMAND)
    st.rerun()


def _show_registry() -> None:
    note(t("saes.registry_how"))
    query = st.text_input(
        t("saes.search"),
        placeholder="gpt2 blocks.5 resid",
        max_chars=MAX_QUERY_CHARACTERS,
        key="saes.search",
    )
    entries, n = find_entries(query, N_SHOWN)
    if not entries:
        st.info(t("saes.search_none"))
        return
    note(t("saes.search_found", n=f"{n:,}", shown=f"{len(entries):,}"))
    data = pd.DataFrame(
        {
            "release": [entry.release for entry in entries],
            "sae_id": [entry.sae_id for entry in entries],
            "model": [entry.model for entry in entries],
            "l0": [entry.l0 for entry in entries],
            "opens": [
                t(f"saes.opens_{entry.refusal}") if entry.refusal else t("saes.opens")
                for entry in entries
            ],
        }
    )
    columns = ("release", "sae_id", "model", "l0", "opens")
    chosen = st.dataframe(
        data,
        key=f"saes.registry_{query}",
        on_select="rerun",
        selection_mode="single-row",
        hide_index=True,
        height=280,
        placeholder=NO_FIGURE,
        column_config={name: t(f"saes.column_{name}") for name in columns},
    )
    rows = chosen.selection.rows
    if not rows or rows[0] >= len(entries):
        note(t("saes.choose_row"))
        return
    entry = entries[rows[0]]
    st.markdown(plain(f"{entry.release} · {entry.sae_id}"))
    # Says why, if it is one that is not opened.
    entry.check()
    if st.button(t("saes.fetch"), icon=":material/download:", key="saes.fetch"):
        _start(fetch_from_registry(entry.release, entry.sae_id))


_WAYS: dict[str, Callable[[], None]] = {
    "folder": _show_folder,
    "zip": _show_zip,
    "hub": _show_hub,
    "registry": _show_registry,
}
