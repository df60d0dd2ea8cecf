"""What the training page shows of one run besides its curves, and does with it."""

from collections import deque
from dataclasses import fields
from string import Formatter

import pandas as pd
import streamlit as st

from tinysae.checked_numbers import number
from tinysae.config import reads
from tinysae.jobs import launch
from tinysae.jobs.files import open_regular
from tinysae.jobs.status import JobStatus
from tinysae.runs import trash
from tinysae.runs.store import Run, list_runs
from tinysae.runs.verdict import Grade, verdict
from tinysae.sae.estimate import Estimate
from tinysae.sae.rows import ACTIVATION_SCALE
from tinysae.sae.step.engine import DENSE, DENSE_STEP, REASONS, SPARSE, EngineChoice
from tinysae.ui.features.live import show_offer
from tinysae.ui.parts.job_words import (
    Colour,
    badge_of,
    duration,
    duration_range,
    gigabytes,
    milliseconds,
    rate_range,
    run_label,
)
from tinysae.ui.shell.choice import choose
from tinysae.ui.shell.i18n import recorded, t
from tinysae.ui.shell.page import page_link, plain
from tinysae.ui.train.cards import start_from
from tinysae.ui.train.curves import Curves
from tinysae.ui.train.shipped_run import is_shipped, shipped_run

# What is shown of an evaluation, in order.
_FIGURES = {
    "ce_loss_score": "{ce_loss_score:.1%}",
    "l0": "{l0:.1f}",
    "explained_variance": "{explained_variance:.1%}",
    "dead": "{n_dead:,} · {dead_share:.1%}",
    "kl_div_score": "{kl_div_score:.1%}",
    "mse": "{mse:.3g}",
    "dense": "{n_dense:,} · {dense_share:.1%}",
    "ce_loss": "{ce_loss_sae:.3f}",
}
# An engine's name in a run's records -> its name in the words.
_ENGINES = {SPARSE: "sparse", DENSE: "dense"}
LOG_LINES = 30
# Of a log that somebody made long: what is read of its end.
LOG_BYTES = 16_000
_UNDO = "train_deleted"

_GRADES: dict[Grade, Colour] = {"good": "green", "fair": "orange", "poor": "red"}


def show_state(run: Run, status: JobStatus) -> None:
    """Which run it is, how it stands, and what it has come to."""
    name = t("train.shipped_run") if is_shipped(run) else run_label(run)
    _, colour = badge_of(status.state)
    state = t(f"train.state_{status.state}")
    st.markdown(f"**{plain(name)}** :{colour}-badge[{state}]")
    if not status.is_working:
        _show_outcome(run, status)


def show_engine(run: Run, own: Curves) -> None:
    """What computes the run's steps, why not something faster, and how fast it is."""
    made_with = run.made_with()
    engine = EngineChoice.from_json(made_with)
    if engine is None or engine.name not in _ENGINES:
        return
    said = [t(f"train.engine_{_ENGINES[engine.name]}")]
    if engine.reason in REASONS:
        said.append(t(f"train.engine_why_{engine.reason}"))
    dense, step = number(made_with.get(DENSE_STEP)), own.step_seconds()
    if engine.name != DENSE and dense and step:
        said.append(
            t(
                "train.engine_speed",
                times=f"{dense / step:.1f}",
                step=milliseconds(step),
                dense=milliseconds(dense),
            )
        )
    st.caption(" ".join(said), help=t("train.engine_help"))


def _show_outcome(run: Run, status: JobStatus) -> None:
    """How a run that is over ended: a verdict on what it has learnt, or why it has
    not."""
    figures = run.evaluation() or {}
    found = verdict(figures)
    if found is not None:
        colour = _GRADES[found.grade]
        why = t(
            f"train.why_{found.grade}_{found.reason}",
            ce=f"{figures['ce_loss_score']:.1%}",
            l0=f"{figures.get('l0', 0):.0f}",
            dead=f"{figures.get('dead_share', 0):.1%}",
            variance=f"{figures.get('explained_variance', 0):.0%}",
        )
        grade = t(f"train.grade_{found.grade}")
        st.markdown(
            f":{colour}-badge[{grade}] {plain(why)}", help=t("train.grade_help")
        )
    if status.state == "failed":
        show_failure(status)
    elif status.state == "interrupted":
        st.warning(t(f"train.interrupted_{status.reason or 'killed'}"))
    elif status.state == "stopped" and not run.features_dir.is_dir():
        has_sae = run.sae_dir.is_dir()
        st.info(t("train.stopped_why" if has_sae else "train.stopped_early"))


def show_ways_on(run: Run, status: JobStatus) -> None:
    """What can be done with it now, side by side."""
    if status.is_working:
        show_offer(run)
        return
    if is_shipped(run):
        page_link("features", t("train.explore_shipped"), run=run.id)
    elif run.features_dir.is_dir():
        page_link("features", t("train.explore"), run=run.id)
    if status.state != "done" and st.button(
        t("train.resume"),
        icon=":material/resume:",
        help=t("train.resume_help"),
        key="train_resume",
    ):
        launch.launch(run, "train")
        st.rerun()
    wants_index = run.sae_dir.is_dir() and not run.features_dir.is_dir()
    if wants_index and st.button(t("train.index_now"), key="train_index"):
        launch.launch(run, "index")
        st.rerun()
    st.button(
        t("train.start_from"),
        icon=":material/content_copy:",
        help=t("train.start_from_help"),
        key="train_start_from",
        on_click=start_from,
        args=(run,),
    )
    if not is_shipped(run) and st.button(
        t("train.delete"),
        icon=":material/delete:",
        help=t("train.delete_help"),
        key="train_delete",
    ):
        trash.delete(run)
        st.session_state[_UNDO] = run.id
        # The page and the sidebar show the same one in its place.
        choose(run=next(iter(list_runs()), shipped_run()).id)
        st.rerun()


def show_undo() -> None:
    """That a run was just deleted, and the way back."""
    run_id = st.session_state.get(_UNDO)
    if run_id is None:
        return
    just = next((run for run in trash.deleted_runs() if run.id == run_id), None)
    if just is None:
        return
    # A phone shows it at the screen's foot (page.css): the table is far from Delete.
    with st.container(horizontal=True, vertical_alignment="center", key="train_gone"):
        st.markdown(f":small[{plain(t('train.deleted', name=just.config.title))}]")
        if st.button(t("train.undo"), icon=":material/undo:", key="train_undo"):
            _restore(just)


def show_trash() -> None:
    """What is in the trash; nothing when there is nothing."""
    deleted = trash.deleted_runs()
    if not deleted:
        return
    with st.expander(t("train.trash", n=len(deleted))):
        for run in deleted:
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.markdown(plain(run_label(run)))
            if right.button(t("train.restore"), key=f"train_restore_{run.id}"):
                _restore(run)
        if st.button(t("train.empty_trash"), help=t("train.empty_trash_help")):
            trash.empty_trash()
            st.rerun()


def _restore(run: Run) -> None:
    trash.restore(run.id)
    st.session_state.pop(_UNDO, None)
    choose(run=run.id)
    st.rerun()


def show_failure(status: JobStatus) -> None:
    """Why a run failed, as its worker said it."""
    said = t("error.worker_failed")
    st.error(plain(recorded(status.error, status.error_values, said)))


def show_evaluation(run: Run) -> None:
    """The held-out figures, each with its formula; nothing when there are none."""
    figures = run.evaluation()
    if not figures:
        return
    st.markdown(f"**{t('train.result')}**")
    scale = number(run.made_with().get(ACTIVATION_SCALE), low=0)
    own_units = f"{figures.get('mse', 0):.3g}"
    if scale is not None and "mse" in figures:
        # In the curve's units; runs of an earlier version do not know them.
        figures = {**figures, "mse": figures["mse"] * scale**2}
    values = {
        "n": f"{figures.get('n_tokens', 0):,}",
        "d_sae": f"{figures.get('d_sae', 0):,}",
        "above": f"{figures.get('dense_above', 0):.0%}",
        "clean": f"{figures.get('ce_loss_clean', 0):.3f}",
        "zero": f"{figures.get('ce_loss_zero', 0):.3f}",
        "own_units": own_units,
    }
    # Runs of an earlier version were not measured on all of these.
    shown = [name for name in _FIGURES if _parts(name) <= figures.keys()]
    columns = st.columns(4)
    for index, name in enumerate(shown):
        said = "mse_own_units" if name == "mse" and scale is None else name
        columns[index % len(columns)].metric(
            t(f"train.figure_{said}"),
            _FIGURES[name].format_map(figures).replace("-", "\N{MINUS SIGN}"),
            help=t(f"train.figure_{said}_help", **values),
        )
    _show_prediction(run)


def _parts(figure: str) -> set[str]:
    """The numbers that a figure of `_FIGURES` is written with."""
    return {name for _, name, _, _ in Formatter().parse(_FIGURES[figure]) if name}


def _show_prediction(run: Run) -> None:
    """The estimate beside what happened."""
    guess, took = Estimate.from_json(run.estimate()), run.took() or {}
    seconds = took.get("training", 0)
    if guess is None or seconds <= 0:
        return
    st.markdown(
        t(
            "train.predicted",
            time=duration_range(*guess.seconds),
            rate=rate_range(*guess.tokens_per_s),
            memory=gigabytes(guess.memory_bytes),
            real_time=duration(seconds),
            real_rate=f"{took.get('n_tokens', 0) / seconds:,.0f}",
            real_memory=gigabytes(took.get("peak_memory_bytes", 0)),
        )
    )


def show_details(run: Run) -> None:
    """Settings and the log's tail, for who wants to know."""
    with st.expander(t("train.config")):
        rows = [
            (item.name, str(getattr(run.config, item.name)))
            for item in fields(run.config)
            if reads(run.config.architecture, item.name)
        ]
        rows += [(name, str(value)) for name, value in run.made_with().items()]
        st.dataframe(pd.DataFrame(rows, columns=["", " "]), hide_index=True)


def show_log(run: Run) -> None:
    """The last lines of the run's log, sent only while somebody looks."""
    place = st.expander(t("train.log"), on_change="rerun", key=f"train_log_{run.id}")
    if place.open:
        place.code(_log_tail(run) or t("train.log_empty"), language=None)


def _log_tail(run: Run) -> str:
    try:
        with open_regular(run.log_path) as file:
            file.seek(max(0, run.log_path.stat().st_size - LOG_BYTES))
            lines = file.read(LOG_BYTES).decode(errors="replace").split("\n")
    except OSError:
        return ""
    # A bar that a library draws over itself, as a terminal shows it: its last state.
    drawn = (line.rstrip("\r").rpartition("\r")[-1] for line in lines)
    return "\n".join(deque(drawn, LOG_LINES)).strip("\n")
