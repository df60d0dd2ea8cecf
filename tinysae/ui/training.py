"""What the training page shows of settings and runs, piece by piece."""

from dataclasses import fields
from typing import Any

import pandas as pd
import streamlit as st

from tinysae.config import GROUPS, PRESETS, TrainConfig, choices, reads, settings
from tinysae.errors import TinysaeError
from tinysae.runs.metrics import StepMetrics, read_metrics
from tinysae.runs.store import Run, RunStatus
from tinysae.ui import cache
from tinysae.ui.charts import Series, live_chart
from tinysae.ui.i18n import language, t
from tinysae.ui.numbers import moment
from tinysae.ui.page import plain
from tinysae.words import text

# One text exists so far: a choice of one would be a widget that does nothing.
_NOT_IN_FORM = frozenset({"dataset_path"})
# In front, before "all settings": what a first run is likely to change.
_IN_FRONT = ("architecture", "name")
LOG_TAIL_BYTES = 4000
CHARTS = ("mse", "l1", "l0", "explained_variance")


def config_form() -> TrainConfig | None:
    """The form for a run; the config once Start is pressed.

    Raises:
        SettingError: a value (forged past its widget) is out of range.
    """
    preset = st.segmented_control(
        t("train.preset"),
        [preset.key for preset in PRESETS],
        format_func=lambda key: t(f"train.preset_{key}"),
        default=PRESETS[0].key,
        required=True,
        key="train_preset",
    )
    changes = next((p.changes for p in PRESETS if p.key == preset), PRESETS[0].changes)
    start = TrainConfig(**changes)
    # Keyed by preset: choosing another one fills the form with its values.
    values = {
        name: _setting_widget(name, getattr(start, name), f"{preset}_{name}")
        for name in _IN_FRONT
    }
    with st.expander(t("train.settings")):
        for group in GROUPS:
            names = [
                name
                for name, setting in settings().items()
                if setting.group == group
                and name not in (*_NOT_IN_FORM, *_IN_FRONT)
                and reads(values["architecture"], name)
            ]
            st.markdown(f"**{t(f'train.group_{group}')}**")
            columns = st.columns(3)
            for index, name in enumerate(names):
                with columns[index % len(columns)]:
                    values[name] = _setting_widget(
                        name, getattr(start, name), f"{preset}_{name}"
                    )
    if st.button(t("train.start"), type="primary", icon=":material/play_arrow:"):
        return TrainConfig(**{**changes, **values})
    return None


def _setting_widget(name: str, value: Any, key: str) -> Any:
    setting = settings()[name]
    label, note = setting.label(language()), setting.help(language())
    if name == "hook_name":
        return st.selectbox(label, _hook_names(value), key=key, help=note)
    if accepted := choices(name):
        index = accepted.index(value)
        return st.selectbox(label, accepted, index=index, key=key, help=note)
    if isinstance(value, bool):
        return st.checkbox(label, value, key=key, help=note)
    if isinstance(value, str):
        return st.text_input(label, value, key=key, help=note)
    kind = type(value)
    return st.number_input(
        label,
        value=value,
        min_value=kind(setting.low) if setting.low is not None else None,
        max_value=kind(setting.high) if setting.high is not None else None,
        step=1 if kind is int else None,
        format=None if kind is int else "%g",
        key=key,
        help=note,
    )


def _hook_names(default: str) -> list[str]:
    # Until the model is warm only the default is known; nobody has to wait for more.
    if not cache.warm_up_state().done:
        return [default]
    try:
        names = list(cache.loaded_model(TrainConfig().model_name).hook_widths)
    except TinysaeError:
        return [default]
    return [default, *(name for name in names if name != default)]


def progress_text(status: RunStatus) -> str:
    """One line: what a working run does, how far it is, how fast and how long yet."""
    state = t(f"train.state_{status.state}")
    if not status.total:
        return state
    key = (
        "train.progress_batches" if status.state == "norm" else "train.progress_tokens"
    )
    return t(
        key,
        state=state,
        done=f"{status.done:,}",
        total=f"{status.total:,}",
        rate=f"{status.tokens_per_s:,.0f}" if status.tokens_per_s else "…",
        eta=duration(status.eta_s),
    )


def duration(seconds: float | None) -> str:
    """A time as people say it: seconds below two minutes, then minutes, then hours."""
    if seconds is None:
        return t("train.unknown")
    if seconds < 120:
        return t("train.seconds", n=round(seconds))
    if seconds < 7200:
        return t("train.minutes", n=round(seconds / 60))
    return t("train.hours", n=round(seconds / 3600, 1))


def curve(run: Run) -> list[StepMetrics]:
    """The rows of the run's curve; this session reads only what is new."""
    rows, offset = st.session_state.get(f"curve_{run.id}", ([], 0))
    part = read_metrics(run.metrics_path, offset)
    rows = rows + part.rows
    st.session_state[f"curve_{run.id}"] = (rows, part.offset)
    return rows


def show_curves(run: Run, rows: list[StepMetrics]) -> None:
    """MSE, L1, L0 and explained variance over tokens, redrawn in place."""
    if not rows:
        st.caption(t("train.curve_soon"))
        return
    log_y = st.toggle(t("train.log_scale"), key="train_log_scale")
    tokens = [row["n_tokens"] for row in rows]
    columns = st.columns(2)
    for index, name in enumerate(CHARTS):
        suffix = f"_{run.config.architecture}" if name == "l1" else ""
        title = f"train.chart_{name}{suffix}"
        with columns[index % len(columns)]:
            st.markdown(f"**{t(title)}**", help=t(f"{title}_help"))
            live_chart(
                key=f"chart_{name}_{run.id}",
                series=[Series(t(title), tokens, [row[name] for row in rows], index)],
                log_y=log_y and name != "explained_variance",
                x_title=t("train.axis_tokens"),
            )


def show_evaluation(run: Run) -> None:
    """The held-out figures, each with its formula; nothing when there are none."""
    figures = run.evaluation()
    if figures is None:
        return
    st.subheader(t("train.result"))
    columns = st.columns(4)
    shown = {
        "ce_loss_score": f"{figures['ce_loss_score']:.1%}",
        "l0": f"{figures['l0']:.1f}",
        "explained_variance": f"{figures['explained_variance']:.1%}",
        "dead": f"{figures['n_dead']:,} · {figures['dead_share']:.1%}",
    }
    sizes = {"n": f"{figures['n_tokens']:,}", "d_sae": f"{figures['d_sae']:,}"}
    for column, (name, value) in zip(columns, shown.items(), strict=True):
        help_text = t(f"train.figure_{name}_help", **(sizes if name == "dead" else {}))
        column.metric(t(f"train.figure_{name}"), value, help=help_text)


def show_details(run: Run) -> None:
    """Settings and the log's tail, for who wants to know."""
    with st.expander(t("train.config")):
        rows = [
            (item.name, str(getattr(run.config, item.name)))
            for item in fields(run.config)
            if reads(run.config.architecture, item.name)
        ]
        st.dataframe(pd.DataFrame(rows, columns=["", " "]), hide_index=True)
    with st.expander(t("train.log")):
        try:
            with run.log_path.open("rb") as file:
                file.seek(max(0, run.log_path.stat().st_size - LOG_TAIL_BYTES))
                tail = file.read().decode(errors="replace")
        except OSError:
            tail = ""
        st.code(tail, language=None)


def show_failure(status: RunStatus) -> None:
    """Why a run failed, as its worker said it."""
    key = status.error or "error.worker_failed"
    try:
        sentence = text(key, language(), **(status.error_values or {}))
    except (KeyError, IndexError, ValueError):
        # A status written by another version: its sentence is not ours to guess.
        sentence = t("error.worker_failed")
    st.error(plain(sentence))


def run_label(run: Run) -> str:
    """A run as the list names it: what it is, and when it was started."""
    return f"{run.config.title} · {moment(run.created_at)}"
