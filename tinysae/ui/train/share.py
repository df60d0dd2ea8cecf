"""To take an SAE along or bring it to others: a zip, the hub, Weights & Biases."""

import io

import pandas as pd
import streamlit as st

from tinysae.jobs import launch
from tinysae.library.card import LICENCES
from tinysae.library.saved import AnySAE
from tinysae.library.share import (
    hook_name,
    local_paths,
    plan_upload,
    planned_card,
    zip_name,
    zip_sae,
)
from tinysae.library.transfers import (
    COMMAND,
    Transfer,
    forget,
    planned_files,
    transfers,
)
from tinysae.runs.store import Run
from tinysae.runs.tracking import WANDB_DIR, tracked
from tinysae.sae.load import WEIGHTS_NAME
from tinysae.ui.parts.download import download_button
from tinysae.ui.parts.transfer_progress import (
    MEGABYTE,
    newest,
    show_transfer,
    was_started,
)
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain, shown_errors


def show_share(run: AnySAE) -> None:
    """What can be done with the SAE of a run or of a saved one; nothing without one."""
    if not (run.sae_dir / WEIGHTS_NAME).is_file():
        return
    sent = newest(("upload",), run.id)
    plan = _plan(run)
    with (
        st.expander(
            t("saes.share"),
            icon=":material/ios_share:",
            expanded=sent is not None or plan is not None,
        ),
        shown_errors(),
    ):
        _show_zip(run)
        if isinstance(run, Run):
            _show_wandb(run)
        st.markdown(f"**{t('saes.to_hub')}**")
        if sent is not None:
            show_transfer(sent)
        elif plan is not None:
            _show_plan(run, plan)
        else:
            _show_form(run)


def _show_zip(run: AnySAE) -> None:
    spoken = language()

    def made() -> bytes:
        out = io.BytesIO()
        zip_sae(run, out, spoken)
        return out.getvalue()

    note(t("saes.zip_out_how"))
    download_button(
        t("saes.zip_out"),
        made,
        f"{zip_name(run)}.zip",
        "application/zip",
        icon=":material/folder_zip:",
        key="saes.zip_out",
    )


def _show_wandb(run: Run) -> None:
    found = tracked(run)
    if found is None:
        return
    st.markdown("**Weights & Biases**")
    if found.mode is None:
        st.warning(t("saes.wandb_failed"))
    elif found.mode == "offline":
        note(t("saes.wandb_offline"))
        st.code(f"wandb sync {run.path / WANDB_DIR}/offline-run-*", language="sh")
    elif found.url is not None:
        st.link_button(t("saes.wandb_open"), found.url, icon=":material/open_in_new:")
    if found.n_lost:
        note(t("saes.wandb_lost", n=f"{found.n_lost:,}"))


def _plan(run: AnySAE) -> Transfer | None:
    """The upload of this SAE that was put together and not begun."""
    for transfer in transfers():
        is_plan = transfer.kind == "upload" and not was_started(transfer)
        if is_plan and transfer.request.get("run") == run.id:
            return transfer
    return None


def _show_form(run: AnySAE) -> None:
    note(t("saes.upload_how"))
    with st.form("saes.upload", border=False):
        repo_id = st.text_input(
            t("saes.repo"), placeholder="name/my-sae", max_chars=200, key="saes.to_repo"
        )
        left, right = st.columns(2)
        folder = left.text_input(
            t("saes.to_folder"),
            placeholder=hook_name(run),
            help=t("saes.to_folder_help"),
            max_chars=200,
            key="saes.to_folder",
        )
        licence = right.selectbox(t("saes.licence"), LICENCES, key="saes.licence")
        private = st.checkbox(
            t("saes.private"), True, help=t("saes.private_help"), key="saes.private"
        )
        with_dashboard = st.checkbox(
            t("saes.dashboard"),
            True,
            help=t("saes.dashboard_help"),
            key="saes.dashboard",
        )
        if st.form_submit_button(t("saes.plan"), icon=":material/fact_check:"):
            with st.spinner(t("saes.planning")):
                plan_upload(
                    run,
                    repo_id,
                    folder=folder,
                    private=private,
                    licence=licence,
                    with_dashboard=with_dashboard,
                    language=language(),
                )
            st.rerun()


def _show_plan(run: AnySAE, plan: Transfer) -> None:
    """Exactly what would go where, and the button that sends it."""
    from tinysae.hub.upload import has_token

    files = planned_files(plan)
    repo_id, private = plan.request["repo_id"], plan.request["private"]
    size = f"{sum(file.size for file in files) / MEGABYTE:,.1f}"
    key = "saes.planned_private" if private else "saes.planned_public"
    st.markdown(plain(t(key, repo=repo_id, n=len(files), size=size)))
    st.dataframe(
        pd.DataFrame(files, columns=["path", "size"]),
        hide_index=True,
        column_config={
            "path": t("saes.column_path"),
            "size": st.column_config.NumberColumn(
                t("saes.column_size"), format="localized"
            ),
        },
    )
    if paths := local_paths(run):
        st.warning(plain(t("saes.tells_paths", paths=", ".join(paths)[:300])))
    with st.expander(t("saes.card")):
        st.code(planned_card(plan), language="markdown", wrap_lines=True)
    there = has_token()
    if not there:
        st.info(plain(t("error.repo_no_token")))
    with st.container(horizontal=True):
        if st.button(
            t("saes.send"),
            type="primary" if there else "secondary",
            icon=":material/cloud_upload:",
            disabled=not there,
            key="saes.send",
        ):
            launch.launch(plan, COMMAND)
            st.rerun()
        if st.button(t("saes.discard"), key="saes.discard"):
            forget(plan)
            st.rerun()
