"""All runs in one table: what each was told and came to; ticked ones' curves below."""

import html
import zlib
from collections.abc import Sequence
from typing import Any

import streamlit as st

from tinysae.library.all_compared import all_compared, with_named
from tinysae.library.text_read import text_name
from tinysae.render.csv_text import csv_text
from tinysae.render.numbers import NO_FIGURE
from tinysae.runs.compare import (
    FIGURES,
    NAMED,
    Compared,
    Value,
    columns,
    grouped,
    value_text,
)
from tinysae.runs.store import Run
from tinysae.ui.experiments import remarks_form, table_view
from tinysae.ui.experiments.entries import (
    SHARES,
    column_heading,
    column_name,
    entry_name,
    figure_text,
    run_of,
    setting_text,
    share_named,
)
from tinysae.ui.experiments.table_view import FILTERS, TableView
from tinysae.ui.parts.job_words import run_name
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.shell.chosen import Chosen
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note
from tinysae.ui.train.curves import choose_drawing, curves, show_curves

SEEN_ROWS, ROW_PX = 9, 35
# So that the names of what came along are whole.
NAME_PX = 190
COUNTS = ("d_sae", "training_tokens")
CSV_NAME = "runs.csv"
# Curves that can still be told apart, and of which each is read from its file.
MOST_CURVES = 6


def show_all_runs(here: Chosen) -> None:
    """The table with what it is narrowed down by, then what is ticked in it."""
    entries = all_compared()
    view = table_view.table_view()
    with st.container(horizontal=True, key="experiments_tools", gap="small"):
        view = _choose_view(entries, view)
        if NAMED in (*view.columns, view.sort):
            entries[:] = [with_named(entry, share_named) for entry in entries]
        shown = table_view.shown(entries, view, said)
        st.download_button(
            t("experiments.csv"),
            csv_text(view.columns, _raw(shown, view.columns)).encode("utf-8-sig"),
            CSV_NAME,
            "text/csv",
            icon=":material/download:",
            key="experiments.csv",
        )
    note(t("experiments.runs_shown", n=len(shown), of=len(entries)))
    ticked = _show_table(shown, view, here)
    show_left_out(entries.unreadable)
    if view.group:
        _show_groups(shown, view)
    _show_ticked(ticked, shown, here)


def said(name: str, entry: Compared) -> str:
    """What people call an entry's value in a column that is filtered by, as much of it
    as a link says."""
    return _called(name, entry)[: table_view.MOST_LETTERS]


def _called(name: str, entry: Compared) -> str:
    value = entry.value(name)
    if name == "dataset_path" and isinstance(value, str):
        return text_name(value, language())
    if name in ("model_name", "hook_name") and isinstance(value, str):
        return setting_text(name, value)
    return t(f"train.state_{value}") if name == "state" else value_text(value)


def _choose_view(entries: Sequence[Compared], view: TableView) -> TableView:
    """The popovers over the table; what was chosen there is kept."""
    names = {name: column_name(name) for name in columns()}
    with st.popover(t("experiments.columns"), icon=":material/view_column:"):
        picked = st.multiselect(
            t("experiments.columns"),
            list(names)[1:],
            [name for name in view.columns if name != "name"],
            format_func=names.__getitem__,
            key="experiments.columns",
        )
    with st.popover(t("experiments.filter"), icon=":material/filter_alt:"):
        only = {name: _choose_values(name, entries, view) for name in FILTERS}
    sort = _choose_column(names, "sort", view.sort)
    told = {name: names[name] for name in columns() if name not in FIGURES}
    group = _choose_column({"": t("experiments.no_group"), **told}, "group", view.group)
    chosen = TableView(
        ("name", *(name for name in picked if name in names)),
        sort,
        group,
        {name: values for name, values in only.items() if values},
    )
    if chosen != view:
        table_view.keep_view(chosen)
    return chosen


def _choose_values(
    name: str, entries: Sequence[Compared], view: TableView
) -> tuple[str, ...]:
    there = sorted({said(name, entry) for entry in entries} - {""})
    chosen = view.only.get(name, ())
    # What a link asks for need not be there.
    options = [*there, *(value for value in chosen if value not in there)]
    picked = st.multiselect(
        column_name(name),
        options,
        list(chosen),
        key=f"experiments.only.{name}",
        placeholder=t("experiments.all_of_them"),
    )
    return tuple(value for value in picked if value in options)


def _choose_column(names: dict[str, str], what: str, chosen: str) -> str:
    options = list(names)
    said = {n: t(f"experiments.{what}_by", column=names[n]) for n in options}
    picked: Any = st.selectbox(
        t(f"experiments.{what}"),
        options,
        options.index(chosen) if chosen in names else 0,
        format_func=said.__getitem__,
        key=f"experiments.{what}",
        label_visibility="collapsed",
        width=200,
    )
    return picked if picked in names else chosen


def _raw(entries: Sequence[Compared], names: Sequence[str]) -> list[list[Value]]:
    """What a CSV has: numbers as they are, under the columns' own names."""
    return [
        [entry_name(e) if name == "name" else e.value(name) for name in names]
        for e in entries
    ]


def _show_table(
    entries: Sequence[Compared], view: TableView, here: Chosen
) -> list[Compared]:
    """The table; returns those that are ticked in it."""
    import pandas as pd

    rows = [{name: _cell(name, entry) for name in view.columns} for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        if here.source is not None and entry.id == here.source.id:
            row["name"] = f"\N{BLACK RIGHT-POINTING TRIANGLE} {row['name']}"
    # Ticks are of rows, so other rows are another table.
    print_ = zlib.crc32("\n".join(entry.id for entry in entries).encode())
    key = f"experiments.table.{print_}"
    event: Any = st.dataframe(
        pd.DataFrame(rows, columns=list(view.columns)),
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        height=ROW_PX * (min(len(entries), SEEN_ROWS) + 1) + 3,
        row_height=ROW_PX,
        placeholder=NO_FIGURE,
        column_config={name: _column(name) for name in view.columns},
    )
    ticked = event["selection"]["rows"]
    return [entries[n] for n in ticked if isinstance(n, int) and n < len(entries)]


def _cell(name: str, entry: Compared) -> Value:
    if name == "name":
        return entry_name(entry)
    if name in FILTERS:
        return said(name, entry)
    value = entry.value(name)
    return str(value) if isinstance(value, bool) else value


def _column(name: str) -> Any:
    column, title = st.column_config, column_heading(name)
    whole = column_name(name) if column_name(name) != title else None
    if name in SHARES:
        return column.NumberColumn(title, format="percent")
    if name == "l0":
        return column.NumberColumn(title, format="%.1f")
    if name in COUNTS:
        return column.NumberColumn(title, help=whole, format="localized")
    if name == "name":
        return column.TextColumn(title, pinned=True, width=NAME_PX)
    return column.Column(title, help=whole)


def _show_groups(entries: Sequence[Compared], view: TableView) -> None:
    """The means of each group's figures, of those that are columns."""
    figures = [name for name in view.columns if name in (*FIGURES, NAMED)]
    groups = grouped(entries, view.group, figures)
    lines = [
        "".join(f"<th>{html.escape(each)}</th>" for each in _group_heads(view, figures))
    ]
    for group in groups:
        value = said(view.group, group.entries[0]) or NO_FIGURE
        cells = [value, str(len(group.entries))]
        cells += [figure_text(name, group.means.get(name)) for name in figures]
        lines.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    rows = "".join(f"<tr>{line}</tr>" for line in lines)
    note(t("experiments.groups", column=column_name(view.group)))
    st.html(f'<table class="figures">{rows}</table>')


def _group_heads(view: TableView, figures: Sequence[str]) -> list[str]:
    return [
        column_name(view.group),
        t("experiments.group_size"),
        *map(column_name, figures),
    ]


def _show_ticked(
    ticked: Sequence[Compared], shown: Sequence[Compared], here: Chosen
) -> None:
    """The curves of those that were trained here, and what is kept about one; while
    none is ticked, the curves of one that is shown."""
    runs = [run for entry in ticked if (run := run_of(entry)) is not None]
    usual = None if ticked else _usual(shown, here)
    drawn = runs or ([usual] if usual else [])
    if not drawn:
        note(t("experiments.tick"))
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _show_curves(drawn[:MOST_CURVES])
    # Beside the curves: a tick moves nothing.
    with right:
        if usual:
            note(t("experiments.none_ticked", name=run_name(usual)))
        if len(ticked) == 1 and ticked[0].kind == "run":
            remarks_form.show_remarks(runs[0])
        else:
            note(t("experiments.tick_one"))


def _usual(shown: Sequence[Compared], here: Chosen) -> Run | None:
    """What is drawn while nothing is ticked: the chosen SAE's training, else the first
    in the table that has curves."""
    chosen = here.source and here.source.id
    ordered = sorted(shown, key=lambda entry: entry.id != chosen)
    found = (run for entry in ordered if (run := run_of(entry)) is not None)
    return next((run for run in found if curves(run).rows), None)


def _show_curves(runs: Sequence[Run]) -> None:
    first, *others = runs
    drawing = choose_drawing()
    show_curves(first, curves(first), others, drawing)
