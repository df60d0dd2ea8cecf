"""A suite: a table of prompts and answers, edited or brought along, run at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.errors import InputError
from tinysae.model.text.suite import (
    COLUMNS,
    MAX_ROWS,
    Row,
    SuiteRun,
    parse_csv,
    shipped_suite,
    summary,
    to_csv,
)
from tinysae.render.numbers import NO_FIGURE, percent
from tinysae.render.visible import encodable, visible
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain, shown_errors

if TYPE_CHECKING:
    import pandas as pd

    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.state import State

ROWS, RUN, EDITION = (f"playground.suite_{name}" for name in ("rows", "run", "edition"))
DRAW_EVERY_S = 0.1


def show_suite(model: LoadedModel, state: State) -> None:
    """The table, the button that runs it, and what came out."""
    st.subheader(t("playground.suite"))
    st.markdown(plain(t("playground.suite_lead")))
    _bring_table()
    rows = _edited()
    buttons = st.container(horizontal=True)
    if buttons.button(t("playground.suite_run"), type="primary"):
        with shown_errors():
            st.session_state[RUN] = SuiteRun(
                model, rows, prepend_space=state.prepend_space
            )
    run: SuiteRun | None = st.session_state.get(RUN)
    if run is None:
        return
    stop = buttons.empty()
    if not run.is_over:
        stop.button(t("playground.stop"), on_click=run.stop)
    _finish(run)
    stop.empty()
    _show_results(model, run)


def _bring_table() -> None:
    with st.expander(t("playground.suite_bring")):
        pasted = st.text_area(
            t("playground.suite_paste"), key="_suite_paste", height=110
        )
        file = st.file_uploader(
            t("playground.suite_upload"), type=["csv", "tsv", "txt"], key="_suite_file"
        )
        use, reset = st.columns(2)
        with shown_errors():
            if use.button(t("playground.suite_use")):
                _replace_table(parse_csv(pasted if file is None else _text(file)))
            if reset.button(t("playground.suite_shipped")):
                _replace_table(shipped_suite())


def _text(file: Any) -> str:
    try:
        return file.getvalue().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError("suite_not_utf8") from problem


def _replace_table(rows: Sequence[Row]) -> None:
    st.session_state[ROWS] = list(rows)
    # The editor keeps its changes by its key: another table is another editor.
    st.session_state[EDITION] = st.session_state.get(EDITION, 0) + 1
    st.session_state.pop(RUN, None)


def _edited() -> list[Row]:
    """The rows as they stand in the editor; those that are quite empty are left out."""
    import pandas as pd

    if ROWS not in st.session_state:
        st.session_state[ROWS] = shipped_suite()
    table = pd.DataFrame(st.session_state[ROWS], columns=list(COLUMNS), dtype="str")
    edited = st.data_editor(
        table,
        num_rows="dynamic",
        hide_index=True,
        height=280,
        key=f"_suite_{st.session_state.get(EDITION, 0)}",
        column_config={
            name: st.column_config.TextColumn(t(f"playground.column_{name}"))
            for name in COLUMNS
        },
    )
    note(t("playground.suite_count", n=f"{len(edited):,}", limit=f"{MAX_ROWS:,}"))
    return rows_of(edited)


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows of an edited table; a cell nobody filled is the empty text."""
    filled = table.reindex(columns=list(COLUMNS)).astype(object)
    filled = filled.where(filled.notna(), "").astype(str)
    rows = [Row(*cells) for cells in filled.itertuples(index=False)]
    return [row for row in rows if any(row)]


def _finish(run: SuiteRun) -> None:
    """Run what is left, and show how far it is; a click elsewhere interrupts this."""
    if run.is_over:
        return
    bar, drawn_at = st.empty(), 0.0
    while run.step():
        if time.monotonic() - drawn_at > DRAW_EVERY_S:
            n, total = len(run.results), len(run.rows)
            said = t("playground.suite_running", n=f"{n:,}", total=f"{total:,}")
            bar.progress(n / total, said)
            drawn_at = time.monotonic()
    bar.empty()


def _show_results(model: LoadedModel, run: SuiteRun) -> None:
    import pandas as pd

    if run.stopped:
        n, total = len(run.results), len(run.rows)
        note(t("playground.suite_stopped", n=f"{n:,}", total=f"{total:,}"))
    figures = summary(run.results)
    if figures is not None:
        with st.container(horizontal=True):
            st.metric(t("playground.suite_top_1"), percent(figures.top_1))
            st.metric(t("playground.suite_top_5"), percent(figures.top_5))
            st.metric(t("playground.suite_mean_rank"), f"{figures.mean_rank:.2f}")
        note(
            t(
                "playground.suite_figures",
                n=f"{figures.n:,}",
                problems=f"{figures.n_problems:,}",
            )
        )
    if n_merging := sum(each.ranks.merges for each in run.results if each.ranks):
        note(t("playground.suite_merges", n=f"{n_merging:,}"))
    names = ("prompt", "answer", "rank", "prob", "likeliest", "problem")
    st.dataframe(
        pd.DataFrame(
            [
                (
                    each.row.prompt,
                    visible(each.row.answer),
                    each.ranks.rank if each.ranks else None,
                    percent(each.ranks.prob) if each.ranks else "",
                    visible(model.token_text(each.ranks.top[0][0].token_id))
                    if each.ranks
                    else "",
                    each.problem.in_language(language()) if each.problem else "",
                )
                for each in run.results
            ],
            columns=[t(f"playground.column_{name}") for name in names],
        ),
        hide_index=True,
        placeholder=NO_FIGURE,
    )
    st.download_button(
        t("playground.download_csv"),
        # Excel takes UTF-8 for another encoding without the mark.
        encodable(to_csv(model, run.results)).encode("utf-8-sig"),
        "suite.csv",
        "text/csv",
        key="_suite_download",
    )
