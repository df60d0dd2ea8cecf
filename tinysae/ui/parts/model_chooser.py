"""Choosing a model, of the list or by typing, and downloading one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.jobs.status import JobStatus
from tinysae.model.catalogue import CATALOGUE, entry_of, pin_from, write_pin
from tinysae.model.downloads import (
    download_of,
    start_download,
    stop_download,
)
from tinysae.model.names import PICKLE, hub_name, shown_name
from tinysae.model.sources import MAX_SOURCE_CHARACTERS, is_at_hand
from tinysae.ui.parts.job_words import duration
from tinysae.ui.shell.i18n import recorded, t
from tinysae.ui.shell.page import note, plain, shown_errors

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# How a download ends whose only weights are a pickle that nobody has trusted yet.
UNPINNED = "error.hub_pickle_unpinned"
# As often as a bar should move.
REFRESH_S = 0.5


def show_models(
    shown: str,
    *,
    key: str,
    on_choice: Callable[[str], None],
    own: Sequence[str] = (),
) -> None:
    """The list of models, in which anything else can be typed, with `shown` chosen;
    `on_choice` hears of another choice. `own` are those that the reader has SAEs of.

    Under it stands the download of a model that is not on this computer. Ask
    `is_at_hand` before it is loaded.
    """

    def chosen() -> None:
        # What a forged message says is looked at like what a person types.
        typed = str(st.session_state[key] or "").strip()[:MAX_SOURCE_CHARACTERS]
        if typed:
            on_choice(typed)

    first, *listed = (entry.source for entry in CATALOGUE)
    st.session_state[key] = shown
    st.selectbox(
        t("models.model"),
        list(dict.fromkeys([first, *own, *listed, shown])),
        format_func=option,
        key=key,
        help=plain(f"{t('models.choose_help')}\n\n{_facts(shown)}"),
        accept_new_options=True,
        on_change=chosen,
    )
    with shown_errors():
        _show_missing(shown, key)


def option(source: str) -> str:
    """What a list of models calls it (untrusted text)."""
    entry = entry_of(source)
    if entry is None:
        return shown_name(source)
    return f"{source} · {_size(entry.n_parameters)}"


def _size(n_parameters: int) -> str:
    return f"{n_parameters / 1e6:.0f}M"


def _facts(source: str) -> str:
    """What is known of it, as sentences."""
    entry, facts = entry_of(source), []
    if entry is not None:
        facts.append(t(f"models.for_{entry.key}"))
        licence = entry.licence or t("models.no_licence")
        facts.append(t("models.licence", licence=licence))
    if is_at_hand(source):
        is_path = shown_name(source) != source
        facts.append(t("models.path", path=source) if is_path else t("models.here"))
    return " ".join(facts)


def _show_missing(source: str, key: str) -> None:
    """Of a model that is not on this computer: its download, or that it has none."""
    if is_at_hand(source):
        return
    if hub_name(source) is None:
        st.info(plain(t("error.model_missing", source=source[:200])))
        return
    state = download_of(source).status
    st.fragment(_show_download, run_every=REFRESH_S if state.is_working else None)(
        source, key, was_working=state.is_working
    )


def _show_download(source: str, key: str, *, was_working: bool) -> None:
    """The button, or how far the download is; one whole rerun when it ends."""
    with shown_errors():
        found = download_of(source).status
        if found.is_working:
            _show_progress(source, key, found)
            return
        if was_working:
            st.rerun()
        _show_start(source, key, found)


def _show_progress(source: str, key: str, found: JobStatus) -> None:
    if found.state == "converting":
        said = t("models.converting")
    else:
        said = t(
            "models.progress",
            done=f"{found.done / 1e6:,.0f}",
            total=f"{found.total / 1e6:,.0f}" if found.total else "…",
            left=duration(found.eta_s),
        )
    st.progress(found.share, plain(said))
    if st.button(t("models.cancel"), key=f"{key}_cancel"):
        stop_download(source)
        note(t("models.stopping"))


def _show_start(source: str, key: str, found: JobStatus) -> None:
    if found.error == UNPINNED and _offer_pin(source, key, found):
        return
    if found.state == "failed" and found.error:
        said = t("error.unexpected")
        st.error(plain(recorded(found.error, found.error_values, said)))
    entry = entry_of(source)
    goes_on = found.done > 0 and found.state in ("stopped", "interrupted", "failed")
    if goes_on and found.total:
        label = t(
            "models.resume",
            done=f"{found.done / 1e6:,.0f}",
            total=f"{found.total / 1e6:,.0f}",
        )
    elif entry is not None:
        label = t("models.download_size", size=f"{entry.megabytes:,}")
    else:
        label = t("models.download")
    if st.button(label, icon=":material/download:", key=f"{key}_download"):
        start_download(source)
        st.rerun()


def _offer_pin(source: str, key: str, found: JobStatus) -> bool:
    """What would be trusted, to the digit, and the button that does; False if that is
    not known."""
    entry, pin = entry_of(source), pin_from(found.error_values)
    if entry is None or entry.repo_id is None or pin is None:
        return False
    with st.container(border=True):
        st.markdown(plain(t("models.pickle", model=source, repo=entry.repo_id)))
        st.code(
            f"{entry.repo_id} / {PICKLE}\n"
            f"commit   {pin.revision}\n"
            f"SHA-256  {pin.sha256}",
            language=None,
            wrap_lines=True,
        )
        note(t("models.pickle_how"))
        if st.button(
            t("models.trust"), icon=":material/verified_user:", key=f"{key}_trust"
        ):
            write_pin(entry.repo_id, pin)
            start_download(source)
            st.rerun()
    return True


def show_hooks(model: LoadedModel) -> None:
    """Every place of `model` that an SAE can be trained on, and how wide it is."""
    with st.expander(t("models.hooks")):
        columns = {
            t("models.hook"): list(model.hook_widths),
            t("models.width"): list(model.hook_widths.values()),
        }
        st.dataframe(columns, hide_index=True)
