"""A run's curves while it learns: which there are, smoothed, and beside another run."""

import html
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import streamlit as st

from tinysae.render.numbers import signed
from tinysae.render.visible import shortened
from tinysae.runs.compare import told_apart
from tinysae.runs.metrics import read_evals, read_metrics
from tinysae.runs.store import Run
from tinysae.sae.rows import DENSITY_EDGES, EvalMetrics, StepMetrics
from tinysae.sae.sparsity_control import is_steered
from tinysae.setting import PENALISES_L1
from tinysae.ui.parts.charts import Series, colour, live_chart
from tinysae.ui.parts.job_words import run_name, token_count
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note

# What one watches; the others are one click away.
FRONT = ("mse", "l1", "l0", "explained_variance", "ce_loss_score", "n_dead")
MORE = ("loss", "lr", "coefficient", "tokens_per_s")
# Six of them, their names and what stands above fit into one screen.
CHART_PX, AXIS_PX = 142, 16
_OF_EVALS = frozenset({"ce_loss_score"})
_NEVER_LOG = _SHARES = frozenset({"explained_variance", "ce_loss_score"})
# The speed is taken over this share of the rows so far: a single step's time jumps.
SPEED_WINDOW = 20
# What a step takes is said from so many rows on: the first ones are a busy start.
LEAST_ROWS = 10
MOST_SMOOTHING = 0.95
OWN_COLOUR = 0
# Of the settings that tell a run from others, in a legend.
TOLD_LETTERS = 60


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


class Drawing(NamedTuple):
    """How the curves are drawn.

    Attributes:
        log_y: on logarithmic axes.
        is_all: with those that few look at.
        smoothing: `smoothed`'s amount.
    """

    log_y: bool
    is_all: bool
    smoothing: float


def choose_drawing() -> Drawing:
    """How the curves are drawn, in a popover: what is set once a week."""
    with st.popover(t("train.drawing"), icon=":material/tune:", key="train_drawing"):
        return Drawing(
            st.toggle(t("train.log_scale"), key="train_log_scale"),
            st.toggle(t("train.all_curves"), key="train_all_curves"),
            st.slider(
                t("train.smoothing"),
                0.0,
                MOST_SMOOTHING,
                0.0,
                key="train_smoothing",
                help=t("train.smoothing_help"),
            ),
        )


def what_it_shows(own: Curves) -> str:
    """What the curves show so far, in a sentence; there are some."""
    first, last = own.rows[0], own.rows[-1]
    return t(
        "train.shows",
        first=f"{first['mse']:.3g}",
        last=f"{last['mse']:.3g}",
        tokens=token_count(last["n_tokens"]),
        l0=f"{last['l0']:,.0f}",
    )


def show_curves(run: Run, own: Curves, others: Sequence[Run], drawing: Drawing) -> None:
    """The run's curves over tokens, redrawn in place.

    Args:
        run: whose.
        own: what `curves` read of it.
        others: runs that are laid over it.
        drawing: how.
    """
    # Read once for all charts.
    laid = [(other, curves(other)) for other in others if other.id != run.id]
    names = _names(run, drawing)
    with st.container(key="train_curves", gap="xsmall"):
        with st.container(key="train_legend"):
            _show_legend(run, own, [other for other, _ in laid])
        if not (own.rows or laid or run.status.is_working):
            # The legend says why there is none: empty charts would promise some.
            return
        for start in range(0, len(names), 2):
            for name, column in zip(names[start:], st.columns(2), strict=False):
                with column:
                    # Once, under the last: all of them are over the same tokens.
                    is_last = start + 2 >= len(names)
                    _show_curve(run, own, laid, name, drawing, is_last=is_last)
    if drawing.is_all and own.evals:
        _density(run, own.evals[-1])


def _names(run: Run, drawing: Drawing) -> Sequence[str]:
    """The curves that are drawn; of a steered run its coefficient in front, in the
    place of the term that it weighs."""
    names = [*FRONT, *MORE] if drawing.is_all else FRONT
    if not is_steered(run.config):
        return names
    swapped = {"l1": "coefficient", "coefficient": "l1"}
    return [swapped.get(name, name) for name in names]


def legend_names(runs: Sequence[Run]) -> list[str]:
    """What each of several runs is called beside the others, with the settings that
    tell it from them (untrusted text)."""
    apart = told_apart([run.config for run in runs])
    return [
        _with_told(run_name(run), told) for run, told in zip(runs, apart, strict=True)
    ]


def _with_told(name: str, told: str) -> str:
    # A sweep has called its runs by just that.
    is_said = set(told.split(", ")) <= {"", *name.split(", ")}
    return name if is_said else f"{name} ({shortened(told, TOLD_LETTERS)})"


def _show_legend(run: Run, own: Curves, others: Sequence[Run]) -> None:
    """What the curves show: in a sentence, as names of several runs, or why nothing."""
    if others:
        named = "&emsp;".join(
            f'<span style="color:{colour(at)}">\N{BLACK CIRCLE}</span> '
            + html.escape(name)
            for at, name in enumerate(legend_names((run, *others)))
        )
        st.html(f"<small>{named}</small>")
    elif own.rows:
        note(what_it_shows(own))
    elif run.status.is_working:
        note(t("train.curve_soon"))
    else:
        # By its key the page knows that no curve is to come.
        with st.container(key="train_no_curves"):
            note(t("train.curve_none"))


def _show_curve(
    run: Run,
    own: Curves,
    laid: Sequence[tuple[Run, Curves]],
    name: str,
    drawing: Drawing,
    *,
    is_last: bool,
) -> None:
    key = _title(run, name)
    x, y = own.points(name)
    value = f" &nbsp;{_said(name, y[-1])}" if y else ""
    if _asked_for(run, x, name):
        value += f" · {t('train.l0_beside', wanted=f'{run.config.wanted_l0:g}')}"
    st.markdown(f":small[**{t(key)}**{value}]", help=t(f"{key}_help"))
    amount = drawing.smoothing
    live_chart(
        key=f"chart_{name}",
        of=run.id,
        series=[
            *_series_over(laid, name, amount),
            *_series(run, x, y, amount, bool(laid)),
            *_asked_for(run, x, name),
        ],
        height=CHART_PX + (AXIS_PX if is_last else 0),
        log_y=drawing.log_y and name not in _NEVER_LOG,
        x_title=t("train.axis_tokens") if is_last else "",
        title=t(key),
        legend=False,
    )


def _said(name: str, value: float) -> str:
    """A curve's last value as its title says it."""
    if name in _SHARES:
        return f"{signed(100 * value, 1)}%"
    return f"{value:,.0f}" if name == "n_dead" else f"{value:,.3g}"


def _title(run: Run, name: str) -> str:
    if name != "l1":
        return f"train.chart_{name}"
    penalised = run.config.architecture in PENALISES_L1
    return "train.chart_l1_penalty" if penalised else "train.chart_l1_sum"


def _series(
    run: Run, x: list[float], y: list[float], amount: float, is_compared: bool
) -> list[Series]:
    # Its name tells it from others; alone, the chart's title is enough.
    name = run_name(run) if is_compared else ""
    if not amount:
        return [Series(name, x, y, OWN_COLOUR)]
    return [
        Series(name, x, y, OWN_COLOUR, "faint"),
        Series(name, x, smoothed(y, amount), OWN_COLOUR),
    ]


def _asked_for(run: Run, x: list[float], name: str) -> list[Series]:
    """The L0 that a steered run was asked for, as a line."""
    if name != "l0" or not x or not is_steered(run.config):
        return []
    wanted, ends = run.config.wanted_l0, [x[0], x[-1]]
    return [Series(t("train.l0_wanted"), ends, [wanted] * 2, OWN_COLOUR, "dashed")]


def _series_over(
    laid: Sequence[tuple[Run, Curves]], name: str, amount: float
) -> list[Series]:
    found = []
    for at, (run, its) in enumerate(laid, start=OWN_COLOUR + 1):
        x, y = its.points(name)
        if x:
            found.append(Series(run_name(run), x, smoothed(y, amount), at))
    return found


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
