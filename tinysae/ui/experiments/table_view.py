"""How the table of all runs is looked at: kept for the visit, and in the link."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import streamlit as st

from tinysae.runs.compare import Compared, columns, in_order

# What one compares by, beside what says whether one may; all else is a click away.
COLUMNS: Final = (
    *("name", "ce_loss_score", "l0", "explained_variance", "dead_share"),
    *("model_name", "hook_name", "state", "architecture", "d_sae", "tags", "started"),
)
# What one narrows a table down by.
FILTERS: Final = ("model_name", "hook_name", "dataset_path", "architecture", "state")
# Of a link: nobody filters by more.
MOST_VALUES, MOST_LETTERS = 50, 200
_KEPT = "experiments.table_view"


class TableView(NamedTuple):
    """Which columns, by which of them, and what of it.

    sort, group: columns; "" for none. only: a filter -> the values that stay; one that
    is not there lets all through.
    """

    columns: tuple[str, ...] = COLUMNS
    sort: str = "started"
    group: str = ""
    only: Mapping[str, tuple[str, ...]] = {}


def table_view() -> TableView:
    """What the link says, else what this visit has chosen before."""
    asked = st.query_params
    if any(name in asked for name in ("columns", "sort", "group", *FILTERS)):
        return _linked(asked.get)
    return st.session_state.get(_KEPT, TableView())


def keep_view(view: TableView) -> None:
    """From here on, and in the link."""
    st.session_state[_KEPT] = view
    default = TableView()
    said = {
        "columns": ",".join(view.columns) if view.columns != default.columns else "",
        "sort": view.sort if view.sort != default.sort else "",
        "group": view.group,
        **{name: "\n".join(_bounded(view.only.get(name, ()))) for name in FILTERS},
    }
    for name, value in said.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def shown(
    entries: Iterable[Compared], view: TableView, said: Callable[[str, Compared], str]
) -> list[Compared]:
    """Those that the view lets through, in its order.

    Args:
        entries: all there are.
        view: as it was chosen.
        said: what people call an entry's value in a column, which is filtered by.
    """
    kept = [
        entry
        for entry in entries
        if all(said(name, entry) in values for name, values in view.only.items())
    ]
    ordered = in_order(kept, view.sort) if view.sort else kept
    return in_order(ordered, view.group) if view.group else ordered


def _linked(asked: Callable[[str, str], str]) -> TableView:
    known = set(columns())

    def one(name: str, default: str) -> str:
        value = asked(name, default)
        return value if value in known else default

    chosen = _known(asked("columns", "").split(","), known)
    only = {
        name: values
        for name in FILTERS
        if any(values := _bounded(asked(name, "").split("\n")))
    }
    return TableView(
        chosen or COLUMNS, one("sort", TableView().sort), one("group", ""), only
    )


def _bounded(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value[:MOST_LETTERS] for value in values[:MOST_VALUES])


def _known(names: Sequence[str], known: set[str]) -> tuple[str, ...]:
    found = tuple(name for name in dict.fromkeys(names) if name in known)
    # Without its name nobody knows which one a row is.
    return ("name", *(name for name in found if name != "name")) if found else ()
