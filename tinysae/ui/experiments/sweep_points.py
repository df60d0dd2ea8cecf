"""A sweep at work: its points' curves laid over each other, and a row a point."""

import html
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import streamlit as st

from tinysae.jobs import launch
from tinysae.jobs.status import JobStatus
from tinysae.render.numbers import NO_FIGURE
from tinysae.render.palette import CATEGORICAL
from tinysae.render.visible import shortened
from tinysae.runs.axes import called, labels_of, varied
from tinysae.runs.metrics import sampled_metrics
from tinysae.runs.store import Run
from tinysae.runs.sweep import COMMAND, Sweep, open_sweep
from tinysae.ui.parts.charts import Series, Style, colour, live_chart
from tinysae.ui.parts.job_words import badge_of, duration
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link, plain, shown_errors
from tinysae.ui.train.curves import curves
from tinysae.ui.train.run import show_failure
from tinysae.ui.train.shipped_run import shipped_run

REFRESH_S = 1.0
CHART_PX = 260
# What one watches of many; each has a sentence of its own. The error falls in any
# training, an L0 that was given is a straight line.
METRICS = ("mse", "l0", "explained_variance", "ce_loss_score")
# As many rows as fit below the chart; more of them scroll.
SEEN_ROWS, ROW_PX = 6, 52
SPARK_POINTS, SPARK_W, SPARK_H = 30, 72, 22
NAME_LETTERS = 48
# States of a sweep in which it has yet to speak for its points.
_WAITS = ("queued", "starting")


def show_none() -> None:
    """In place of a sweep: one training's curve, as each of many will be drawn."""
    run = shipped_run()
    metric = _choose_metric()
    _show_chart(run.id, [run], {run.id: t("train.shipped_run")}, metric)
    note(t("sweep.none"))


def show_points(sweep: Sweep) -> None:
    """The sweep; what works is drawn again and again by itself."""
    is_working = sweep.status.is_working
    metric = _choose_metric()
    st.fragment(_live, run_every=REFRESH_S if is_working else None)(
        sweep.id, metric, is_working
    )


def _choose_metric() -> str:
    names = {metric: t(f"sweep.metric_{metric}") for metric in METRICS}
    picked: Any = st.segmented_control(
        t("sweep.metric"),
        METRICS,
        format_func=names.__getitem__,
        default=METRICS[0],
        key="sweep_metric",
        label_visibility="collapsed",
    )
    return picked if picked in METRICS else METRICS[0]


def _live(sweep_id: str, metric: str, was_working: bool) -> None:
    with shown_errors():
        sweep = open_sweep(sweep_id)
        status, runs = sweep.status, sweep.points()
        if was_working and not status.is_working:
            # The end: one whole rerun, and no timer is left.
            st.rerun()
        told = varied(sweep.axes)
        names = {run.id: called(labels_of(run.config, told)) for run in runs}
        _show_state(sweep, status, runs)
        _show_chart(sweep_id, runs, names, metric)
        with st.container(
            height=SEEN_ROWS * ROW_PX if len(runs) > SEEN_ROWS else "content",
            border=False,
            key="sweep_rows",
            gap="xsmall",
        ):
            for at, run in enumerate(runs):
                _show_row(run, run.status, status, names[run.id], at)


def _said_of(run: Run, status: JobStatus, sweep: JobStatus) -> JobStatus:
    """What is said of a point. One that was made with the sweep, or stopped with it,
    waits as the sweep does until it has begun."""
    is_still = status.state == "stopped" and not run.stop_requested
    return JobStatus("queued") if is_still and sweep.state in _WAITS else status


def _show_state(sweep: Sweep, status: JobStatus, runs: Sequence[Run]) -> None:
    """How it stands, and what can be done with all of it."""
    n_done = sum(run.status.state == "done" for run in runs)
    _, tint = badge_of(status.state)
    said = t(f"sweep.state_{_state_word(status)}", done=n_done, n=len(runs))
    if status.eta_s is not None and status.is_working:
        said = f"{said} {t('sweep.left', time=duration(status.eta_s))}"
    with st.container(horizontal=True, vertical_alignment="center", key="sweep_state"):
        st.markdown(f":{tint}-badge[{plain(said)}]")
        st.space("stretch")
        if status.is_working:
            if sweep.stop_requested:
                st.caption(t("train.stopping"))
            elif st.button(t("sweep.stop_all"), key="sweep_stop_all"):
                sweep.request_stop()
                st.rerun(scope="fragment")
        elif n_done < len(runs) and st.button(
            t("sweep.go_on"), icon=":material/resume:", key="sweep_go_on"
        ):
            launch.launch(sweep, COMMAND)
            st.rerun()
    if status.state == "failed":
        show_failure(status)
    # Its place stays, or the curves would move at every beginning and end.
    with st.container(key="sweep_progress"):
        if status.is_working:
            # What is done to one point after another has a share a point.
            shares = [_share(run.status) for run in runs]
            st.progress(status.share or sum(shares) / max(1, len(shares)))


def _share(status: JobStatus) -> float:
    """How far a point is in what is being done to it."""
    return 1.0 if status.state == "done" else status.share


def _state_word(status: JobStatus) -> str:
    """What is said of the whole; trainings are prepared in several states."""
    if status.state in ("starting", "norm", "downloading"):
        return "starting"
    return status.state


def _show_chart(
    of: str, runs: Sequence[Run], names: dict[str, str], metric: str
) -> None:
    series: list[Series] = []
    for at, run in enumerate(runs):
        x, y = curves(run).points(metric)
        if x:
            series.append(Series(names[run.id], x, y, at, _style(at)))
    title = t(f"train.chart_{metric}")
    live_chart(
        key=f"sweep_chart_{metric}",
        of=of,
        series=series,
        height=CHART_PX,
        x_title=t("train.axis_tokens"),
        title=title,
        # The rows below name each colour.
        legend=False,
    )
    with st.container(key="sweep_shows"):
        note(_shown(series, metric))


def _style(at: int) -> Style:
    """There are more points than colours: the next ones are dashed."""
    return "dashed" if at // len(CATEGORICAL) % 2 else "solid"


def _shown(series: Sequence[Series], metric: str) -> str:
    """What the curves show by now, in a sentence."""
    ends = sorted(
        (each for each in series if math.isfinite(each.y[-1])),
        key=lambda each: each.y[-1],
    )
    if not ends:
        return t("train.curve_soon")
    low, high = ends[0], ends[-1]
    name = t(f"sweep.metric_{metric}")
    if len(ends) == 1:
        return t("sweep.shows_one", metric=name, value=f"{low.y[-1]:.3g}")
    return t(
        "sweep.shows",
        metric=name,
        low=f"{low.y[-1]:.3g}",
        low_name=low.name,
        high=f"{high.y[-1]:.3g}",
        high_name=high.name,
    )


def _show_row(
    run: Run, status: JobStatus, sweep: JobStatus, name: str, at: int
) -> None:
    """A point: which, its state and progress, its curve, what it came to, Stop."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        said = _said_of(run, status, sweep)
        st.html(_row(run, said, name, at), width="stretch")
        page_link("train", t("sweep.open"), run=run.id)
        if not status.is_working:
            return
        if run.stop_requested:
            st.caption(t("sweep.stopping"))
        elif st.button(
            t("train.stop"),
            help=t("sweep.stop_help", name=plain(name)),
            key=f"sweep_stop_{run.id}",
        ):
            run.request_stop()
            st.rerun(scope="fragment")


def _row(run: Run, status: JobStatus, name: str, at: int) -> str:
    figures = run.evaluation() or {}
    state = t(f"train.state_{status.state}")
    told = [state]
    if "l0" in figures:
        told.append(f"L0 {figures['l0']:.1f}")
    if "ce_loss_score" in figures:
        told.append(f"CE {100 * figures['ce_loss_score']:.1f}%")
    return (
        '<div class="sweep-row">'
        f'<i class="{_style(at)}" style="border-color:{colour(at)}"></i>'
        f"<b>{html.escape(shortened(name, NAME_LETTERS) or NO_FIGURE)}</b>"
        f"{_spark(run, colour(at))}"
        f"<small>{html.escape(' · '.join(told))}</small>"
        f'<u style="width:{_share(status):.1%}"></u></div>'
    )


def _spark(run: Run, tint: str) -> str:
    """Its MSE as a few dozen pixels; what it is stands in the row's words."""
    values = [row["mse"] for row in sampled_metrics(run.metrics_path, SPARK_POINTS)]
    values = [value for value in values if abs(value) < float("inf")]
    if len(values) < 2:
        return '<span class="spark"></span>'
    low, high = min(values), max(values)
    points = " ".join(
        f"{n * SPARK_W / (len(values) - 1):.1f},"
        f"{SPARK_H - 1 - (SPARK_H - 2) * (value - low) / ((high - low) or 1):.1f}"
        for n, value in enumerate(values)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SPARK_W}" height="{SPARK_H}">'
        f'<polyline points="{points}" fill="none" stroke="{tint}"/></svg>'
    )
    # `st.html` drops SVG, but shows pictures of it.
    return f'<img class="spark" alt="" src="data:image/svg+xml,{quote(svg)}">'
