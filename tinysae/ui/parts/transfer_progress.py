"""A transfer on a page: how far it is, Stop, how it ended, and what to do then."""

from collections.abc import Sequence

import streamlit as st

from tinysae.jobs import launch
from tinysae.jobs.status import JobStatus
from tinysae.library.transfers import COMMAND, Kind, Transfer, forget, transfers
from tinysae.ui.parts.job_words import duration
from tinysae.ui.shell.choice import choose
from tinysae.ui.shell.i18n import recorded, t
from tinysae.ui.shell.page import plain, shown_errors

REFRESH_S = 0.5
MEGABYTE = 1_000_000


def newest(kinds: Sequence[Kind], run: str | None = None) -> Transfer | None:
    """The newest of those kinds that was started and nobody has put away; of `run`
    only, if that is given."""
    for transfer in transfers():
        is_of_run = run is None or transfer.request.get("run") == run
        if transfer.kind in kinds and is_of_run and was_started(transfer):
            return transfer
    return None


def was_started(transfer: Transfer) -> bool:
    """Whether there ever was a process for it."""
    return transfer.log_path.exists()


def show_transfer(transfer: Transfer) -> None:
    """Where it stands; a fragment looks again while it works."""
    is_working = transfer.status.is_working
    st.fragment(_show, run_every=REFRESH_S if is_working else None)(
        transfer, is_working
    )


def _show(transfer: Transfer, was_working: bool) -> None:
    with shown_errors():
        status = transfer.status
        if status.is_working:
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.progress(status.share, _progress(transfer, status))
            if transfer.stop_requested:
                left.caption(t("train.stopping"))
            elif right.button(t("train.stop"), key=f"stop_{transfer.id}"):
                transfer.request_stop()
            if not was_working:
                st.rerun()
            return
        if was_working:
            # The end: one whole rerun shows what came of it, and no timer is left.
            sae = transfer.result().get("sae")
            if status.state == "done" and isinstance(sae, str):
                forget(transfer)
                choose(run=sae)
            st.rerun()
        _show_end(transfer, status)


def _progress(transfer: Transfer, status: JobStatus) -> str:
    name = transfer.title
    if status.state not in ("downloading", "uploading") or not status.total:
        key = "converting" if status.state == "converting" else "starting"
        return plain(t(f"saes.state_{key}", name=name))
    rate = status.rate
    return plain(
        t(
            f"saes.state_{status.state}",
            name=name,
            done=f"{status.done / MEGABYTE:,.1f}",
            total=f"{status.total / MEGABYTE:,.1f}",
            rate=f"{rate / MEGABYTE:,.1f}" if rate else "…",
            eta=duration(status.eta_s),
        )
    )


def _show_end(transfer: Transfer, status: JobStatus) -> None:
    result, name = transfer.result(), transfer.title
    is_done = status.state == "done"
    if is_done and isinstance(result.get("url"), str):
        st.success(plain(t("saes.uploaded", name=name)))
        st.code(result["url"], language=None)
    elif is_done:
        st.success(plain(t("saes.fetched", name=name)))
    elif status.state == "failed":
        st.error(plain(_failure(status)))
    else:
        st.info(plain(t("saes.broken_off", name=name)))
    with st.container(horizontal=True):
        if not is_done and st.button(
            t("saes.go_on"), icon=":material/resume:", key=f"again_{transfer.id}"
        ):
            launch.launch(transfer, COMMAND)
            st.rerun()
        sae = result.get("sae")
        if is_done and isinstance(sae, str) and st.button(t("features.open_sae_now")):
            choose(run=sae)
            st.rerun()
        if st.button(t("saes.put_away"), key=f"away_{transfer.id}"):
            forget(transfer)
            st.rerun()


def _failure(status: JobStatus) -> str:
    # That sentence speaks of a run.
    key = None if status.error == "error.worker_failed" else status.error
    return recorded(key, status.error_values, t("saes.failed"))
