"""All runs in one table; those that are ticked lie over each other in the curves."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from tinysae.checked_numbers import number
from tinysae.render.numbers import NO_FIGURE, moment
from tinysae.render.visible import shortened
from tinysae.runs.metrics import sampled_metrics
from tinysae.runs.store import Run
from tinysae.ui.parts.job_words import duration, run_name
from tinysae.ui.shell.choice import choose
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link
from tinysae.ui.train import run as run_view
from tinysae.ui.train.shipped_run import is_shipped, shipped_run

# A curve of a few dozen pixels shows no more.
SPARK_POINTS = 40
# The newest: of each, a part of the curves is read.
MOST_ROWS = 100
# As many as fit under the form.
SEEN_ROWS, ROW_PX = 8, 35
# What one compares by stands in sight, the rest of the columns scrolls: with the ticks
# they are as wide as the form (page.css), so that no heading is cut at its edge.
NAME_PX, CURVE_PX, FIGURE_PX = 134, 62, 60
NAME_LETTERS = 15


def ticked(runs: Sequence[Run]) -> list[Run]:
    """The runs that somebody has ticked, the newest first."""
    shown = _shown(runs)
    state = st.session_state.get(_key(shown), {})
    rows = state.get("selection", {}).get("rows", [])
    return [shown[row] for row in rows if isinstance(row, int) and row < len(shown)]


def show_runs(runs: Sequence[Run], run: Run) -> None:
    """The table, the one that came along last; ticking a row draws it beside.

    Args:
        runs: all that there are, the newest first.
        run: the one whose figures the page shows.
    """
    shown = _shown(runs)
    st.markdown(f"**{t('train.runs')}**", help=t("train.runs_how"))
    run_view.show_undo()
    if not runs:
        note(t("train.no_runs"))

    def show_ticked() -> None:
        chosen = ticked(runs)
        if len(chosen) == 1:
            choose(run=chosen[0].id)

    import pandas as pd

    st.dataframe(
        pd.DataFrame([_row(each, is_shown=each.id == run.id) for each in shown]),
        key=_key(shown),
        on_select=show_ticked,
        selection_mode="multi-row",
        hide_index=True,
        height=ROW_PX * (min(len(shown), SEEN_ROWS) + 1) + 3,
        row_height=ROW_PX,
        placeholder=NO_FIGURE,
        column_config=_columns(),
    )
    page_link("experiments", t("train.to_experiments"))


def _key(shown: Sequence[Run]) -> str:
    """Of the table: ticks are of rows, so other runs are another table."""
    return f"train.runs.{shown[0].id}.{len(shown)}"


def _shown(runs: Sequence[Run]) -> list[Run]:
    return [*runs[:MOST_ROWS], shipped_run()]


def _row(run: Run, *, is_shown: bool) -> dict[str, Any]:
    status, figures = run.status, run.evaluation() or {}
    rows = sampled_metrics(run.metrics_path, SPARK_POINTS)
    took = number((run.took() or {}).get("training"), low=0)
    return {
        "name": ("\N{BLACK RIGHT-POINTING TRIANGLE} " if is_shown else "")
        + shortened(
            t("features.embedded") if is_shipped(run) else run_name(run), NAME_LETTERS
        ),
        "mse": [row["mse"] for row in rows],
        "ce_loss_score": figures.get("ce_loss_score"),
        "l0": figures.get("l0"),
        "explained_variance": figures.get("explained_variance"),
        "dead": figures.get("dead_share"),
        "state": t(f"train.state_{status.state}"),
        "architecture": run.config.architecture,
        "d_sae": run.config.d_sae,
        "time": duration(took) if took is not None else "",
        "started": moment(run.created_at) if run.created_at else "",
    }


def _columns() -> dict[str, Any]:
    column = st.column_config
    texts = ("state", "architecture", "time", "started")
    return {
        "name": column.TextColumn(t("train.column_name"), width=NAME_PX),
        "mse": column.LineChartColumn(t("train.column_mse"), width=CURVE_PX),
        "ce_loss_score": column.NumberColumn(
            t("train.column_ce_loss_score"),
            help=t("train.column_ce_loss_score_help"),
            format="percent",
            width=FIGURE_PX,
        ),
        "l0": column.NumberColumn(t("train.column_l0"), format="%.1f", width=FIGURE_PX),
        **{
            name: column.NumberColumn(t(f"train.column_{name}"), format="percent")
            for name in ("explained_variance", "dead")
        },
        **{name: column.TextColumn(t(f"train.column_{name}")) for name in texts},
        "d_sae": column.NumberColumn(t("train.column_d_sae"), format="localized"),
    }
