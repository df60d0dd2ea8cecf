"""A run's curves while it learns: which there are, smoothed, and beside another run."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import streamlit as st

from tinysae.runs.metrics import read_evals, read_metrics
from tinysae.runs.store import Run
from tinysae.sae.rows import DENSITY_EDGES, EvalMetrics, StepMetrics
from tinysae.ui.parts.charts import Series, live_chart
from tinysae.ui.shell.i18n import t

# What one watches; the others are one click away.
FRONT = ("mse", "l1", "l0", "explained_variance")
MORE = ("ce_loss_score", "n_dead", "loss", "lr", "coefficient", "tokens_per_s")
_OF_EVALS = frozenset({"ce_loss_score"})
_NEVER_LOG = frozenset({"explained_variance", "ce_loss_score"})
# The speed is taken over this share of the rows so far: a single step's time jumps.
SPEED_WINDOW = 20
# What a step takes is said from so many rows on: the first ones are a busy start.
LEAST_ROWS = 10
MOST_SMOOTHING = 0.95
COMPARED_COLOUR = 5


class Curves(NamedTuple):
    """What a run has written so far."""

    rows: list[StepMetrics]
    evals: list[EvalMetrics]

    def points(self, name: str) -> tuple[list[float], list[float]]:
        """Tokens and values of the curve `name`; empty when it has none."""
        if name in _OF_EVALS:
            found = [(row["n_tokens"], row[name]) for row in self.evals]
        elif name == "tokens_per_s":
            found = _speeds(self.rows)
        else:
            found = [(row["n_tokens"], row[name]) for row in self.rows if name in row]
        return [x for x, _ in found], [float(y) for _, y in found]

    def step_seconds(self) -> float | None:
        """What a step takes: the median over the run so far, which a busy moment does
        not move; None before `LEAST_ROWS` rows."""
        took = [row["step_seconds"] for row in self.rows if "step_seconds" in row]
        return median(took) if len(took) >= LEAST_ROWS else None


def curves(run: Run) -> Curves:
    """What the run has written; this session reads only what is new."""
    key = f"curves_{run.id}"
    (rows, row_offset), (evals, eval_offset) = st.session_state.get(
        key, (([], 0), ([], 0))
    )
    new_rows = read_metrics(run.metrics_path, row_offset)
    new_evals = read_evals(run.evals_path, eval_offset)
    rows, evals = rows + new_rows.rows, evals + new_evals.rows
    st.session_state[key] = ((rows, new_rows.offset), (evals, new_evals.offset))
    return Curves(rows, evals)


def smoothed(values: Sequence[float], amount: float) -> list[float]:
    """The running average that forgets by `amount` a point, without a slow start."""
    average, weight, result = 0.0, 0.0, []
    for value in values:
        average = amount * average + (1 - amount) * value
        weight = amount * weight + (1 - amount)
        result.append(average / weight)
    return result


def show_curves(
    run: Run, own: Curves, others: Sequence[Run], label: dict[str, str]
) -> None:
    """The run's curves over tokens, redrawn in place.

    Args:
        run: whose.
        own: what `curves` read of it.
        others: runs that can be laid under it.
        label: what each is called.
    """
    if not own.rows:
        st.caption(t("train.curve_soon"))
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        log_y = st.toggle(t("train.log_scale"), key="train_log_scale")
        show_all = st.toggle(t("train.all_curves"), key="train_all_curves")
        amount = st.slider(
            t("train.smoothing"),
            0.0,
            MOST_SMOOTHING,
            0.0,
            key="train_smoothing",
            help=t("train.smoothing_help"),
            width=220,
        )
        under = _compared(run, others, label) if others else None
    columns = st.columns(2)
    names = [*FRONT, *MORE] if show_all else FRONT
    shown = [name for name in names if own.points(name)[0]]
    for index, name in enumerate(shown):
        title = _title(run, name)
        with columns[index % len(columns)]:
            st.markdown(f"**{t(title)}**", help=t(f"{title}_help"))
            live_chart(
                key=f"chart_{name}_{run.id}",
                series=[
                    *(_series_under(under, name, label, amount) if under else ()),
                    *_series(t(title), *own.points(name), index, amount),
                ],
                log_y=log_y and name not in _NEVER_LOG,
                x_title=t("train.axis_tokens"),
            )
    if show_all and own.evals:
        _density(run, own.evals[-1])


def _title(run: Run, name: str) -> str:
    if name != "l1":
        return f"train.chart_{name}"
    penalised = run.config.architecture in ("standard", "gated")
    return "train.chart_l1_penalty" if penalised else "train.chart_l1_sum"


def _compared(run: Run, others: Sequence[Run], label: dict[str, str]) -> Run | None:
    ids = [other.id for other in others]
    chosen = st.selectbox(
        t("train.compare"),
        ids,
        index=None,
        format_func=label.__getitem__,
        placeholder=t("train.compare_none"),
        key=f"train_compare_{run.id}",
        width=300,
    )
    return next((other for other in others if other.id == chosen), None)


def _series(
    name: str, x: list[float], y: list[float], colour: int, amount: float
) -> list[Series]:
    colour %= COMPARED_COLOUR
    if not amount:
        return [Series(name, x, y, colour)]
    return [
        Series(name, x, y, colour, "faint"),
        Series(name, x, smoothed(y, amount), colour),
    ]


def _series_under(
    run: Run, name: str, label: dict[str, str], amount: float
) -> list[Series]:
    x, y = curves(run).points(name)
    if not x:
        return []
    name = label[run.id]
    return [Series(name, x, smoothed(y, amount), COMPARED_COLOUR, "dashed")]


def _speeds(rows: Sequence[StepMetrics]) -> list[tuple[float, float]]:
    timed = [(row["n_tokens"], row["seconds"]) for row in rows if "seconds" in row]
    apart = max(1, len(timed) // SPEED_WINDOW)
    pairs = zip(timed, timed[apart:], strict=False)
    return [
        (tokens, (tokens - before) / (seconds - began))
        for (before, began), (tokens, seconds) in pairs
        if seconds > began
    ]


def _density(run: Run, latest: EvalMetrics) -> None:
    st.markdown(
        f"**{t('train.chart_density')}**",
        help=t("train.chart_density_help", never=f"{latest['density'][0]:,}"),
    )
    middles = [
        (low + high) / 2
        for low, high in zip(DENSITY_EDGES, DENSITY_EDGES[1:], strict=False)
    ]
    live_chart(
        key=f"chart_density_{run.id}",
        series=[
            Series(t("train.chart_density"), middles, latest["density"][1:], 0, "bars")
        ],
        x_title=t("train.axis_density"),
    )
