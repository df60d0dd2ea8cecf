"""One step of a lesson: a text, a live cell, one thing to try, a question, its answer.

The address says where the reader is (`?lesson=names&step=4&run=...`); progress is kept
in the home folder as well.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.errors import MissingError, TinysaeError
from tinysae.features.assets import STORYBOOK_SAE
from tinysae.features.sentences import concept_name
from tinysae.features.sources import (
    FeatureSource,
    embedded_source,
    feature_source,
    feature_sources,
)
from tinysae.lessons.calls import CALLS
from tinysae.lessons.lesson import Input, Lesson, Step, load_lesson
from tinysae.lessons.playing import answer, own_claim
from tinysae.lessons.progress import Progress, read_progress, write_progress
from tinysae.lessons.results import Stage
from tinysae.runs.store import Run, list_runs
from tinysae.ui import cache
from tinysae.ui.i18n import language, t
from tinysae.ui.lesson_claim import show_claim
from tinysae.ui.lesson_views import show_views
from tinysae.ui.page import Page, note, page_link, plain, shown_errors
from tinysae.ui.presenting import PARAMETER, is_presenting, present
from tinysae.ui.sources import source_label

if TYPE_CHECKING:
    from tinysae.lessons.results import Result

# Streamlit's number inputs take no larger steps than that of their format.
_FRACTION = 0.1
_PAGE_LINKS: dict[str, Page] = {
    "playground": "playground",
    "train": "train",
    "features": "features",
    "why": "why",
}
# How often a step about a run that works looks again, in seconds.
_LOOK_S = 2.0


@dataclass(frozen=True)
class Place:
    """Where the reader is; the step after the last is the summary."""

    lesson: Lesson
    number: int

    @property
    def is_end(self) -> bool:
        return self.number > len(self.lesson.steps)

    @property
    def step(self) -> Step:
        return self.lesson.steps[self.number - 1]


def open_place(lesson_id: str) -> Place:
    """The lesson and the step that the address names, else the first.

    Raises:
        MissingError, DamagedError: from `load_lesson`.
    """
    if not is_presenting():
        # A title has room above it; a link would begin under Streamlit's header.
        st.space("small")
        page_link("lessons", t("lessons.all"), icon=":material/arrow_back:")
    lesson = load_lesson(lesson_id)
    asked = st.query_params.get("step", "")
    is_number = asked.isascii() and asked.isdecimal() and len(asked) < 4
    number = int(asked) if is_number else 1
    place = Place(lesson, min(max(number, 1), len(lesson.steps) + 1))
    if is_presenting():
        present(partial(_turn, place))
    _keep(place)
    return place


def show_step(place: Place) -> None:
    """The whole step, in reading order."""
    step, lesson = place.step, place.lesson
    if not is_presenting():
        st.caption(plain(lesson.title[language()]))
    where = t("lessons.where", step=place.number, n=len(lesson.steps))
    st.progress(place.number / (len(lesson.steps) + 1), where)
    st.title(plain(step.title[language()]), anchor=False)
    st.markdown(plain(step.text[language()]))
    if step.page is not None and not is_presenting():
        page = _PAGE_LINKS[step.page]
        page_link(page, t(f"lessons.to_{page}"))
    try:
        _show_cell(place)
    except TinysaeError as error:
        why = error.in_language(language())
        # What is only not there yet is nobody's mistake.
        show = st.info if isinstance(error, MissingError) else st.error
        show(plain(t("lessons.gone", step=place.number, why=why)))
        if st.query_params.get("run") not in (None, STORYBOOK_SAE):
            st.button(t("lessons.use_embedded"), on_click=_choose_source, args=(None,))
    show_moves(place)


def stage_of(source: FeatureSource, step: Step | None = None) -> Stage:
    """What a step is asked of; only what it needs is loaded.

    Raises:
        TinysaeError: something of it cannot be read.
    """
    with source.remedy():
        index = cache.feature_index(source)
        sae = cache.loaded_sae(source)
    model = cache.loaded_model(index.info.model)
    run = None
    if step is None or CALLS[step.call].needs == "run":
        run = _run_of(source)
    return Stage(model, sae, index, source, run)


def chosen_source() -> FeatureSource:
    """The SAE that the address names, else the one that came along.

    Raises:
        TinysaeError: it is not there any more, or its features are not.
    """
    asked = st.query_params.get("run")
    return feature_source(asked) if asked else embedded_source()


def choose_source() -> FeatureSource:
    """`chosen_source`, with a list to choose another from where there is one."""
    ready = [source for source in feature_sources() if source.readiness == "ready"]
    if len(ready) > 1 and not is_presenting():
        labels = {source.id: source_label(source) for source in ready}
        asked = st.query_params.get("run") or STORYBOOK_SAE
        key = "lessons.source"
        st.session_state[key] = asked if asked in labels else None
        st.selectbox(
            t("lessons.source"),
            list(labels),
            format_func=labels.__getitem__,
            key=key,
            on_change=lambda: _choose_source(st.session_state[key]),
        )
    return chosen_source()


def show_moves(place: Place) -> None:
    """Previous, next, and presenting."""
    st.divider()
    n = len(place.lesson.steps)
    with st.container(horizontal=True, vertical_alignment="center"):
        if place.number > 1:
            st.button(
                t("lessons.previous"),
                icon=":material/chevron_left:",
                key=f"lessons.previous.{place.number}",
                on_click=move,
                args=(place, -1),
            )
        if not place.is_end:
            st.button(
                t("lessons.to_summary" if place.number == n else "lessons.next"),
                icon=":material/chevron_right:",
                icon_position="right",
                type="primary",
                key=f"lessons.next.{place.number}",
                on_click=move,
                args=(place, 1),
            )
        st.space("stretch")
        label = "lessons.end_present" if is_presenting() else "lessons.present"
        st.button(
            t(label), icon=":material/slideshow:", type="tertiary", on_click=_present
        )
    if is_presenting():
        note(t("lessons.keys"))


def move(place: Place, by: int) -> None:
    """To another step: the address changes, and Back comes back."""
    number = min(max(place.number + by, 1), len(place.lesson.steps) + 1)
    _go(step=str(number))


def _turn(place: Place, by: int) -> None:
    """A presenter's key: on first comes the answer, then the next step."""
    own = read_progress().get(place.lesson.id, Progress())
    if by > 0 and not place.is_end and place.number not in own.answered:
        _answered(place, place.step.values(_saved(place)))
    else:
        move(place, by)


def _saved(place: Place) -> dict[str, object]:
    """What was chosen when the answer was read, as far as the file still has it."""
    own = read_progress().get(place.lesson.id, Progress()).answered
    saved = own.get(place.number, {})
    kept: dict[str, object] = {}
    for each in place.step.inputs:
        try:
            kept[each.name] = each.checked(saved.get(each.name))
        except TinysaeError:
            kept[each.name] = each.default
    return kept


def _go(**changes: str | None) -> None:
    parameters = st.query_params.to_dict() | changes
    st.query_params.from_dict({k: v for k, v in parameters.items() if v is not None})


def _choose_source(run: str | None) -> None:
    _go(run=run)


def _present() -> None:
    _go(**{PARAMETER: None if is_presenting() else "1"})


def _show_cell(place: Place) -> None:
    step = place.step
    source = choose_source()
    stage = stage_of(source, step)
    values = _choose_values(place)
    is_live = stage.run is not None and stage.run.status.is_working
    if is_live:
        st.fragment(run_every=_LOOK_S)(_show_result)(place, stage, values)
    else:
        _show_result(place, stage, values)


def _show_result(place: Place, stage: Stage, values: dict[str, Any]) -> None:
    step = place.step
    key = f"lessons.{place.lesson.id}.{place.number}"
    with st.spinner(t("lessons.working")):
        result = cache.lesson_result(stage, step.call, values)
    show_views(result.views, key=key)
    with st.container(border=True):
        st.markdown(
            f"**{t('lessons.question')}**  \n{plain(step.question[language()])}"
        )
        progress = read_progress().get(place.lesson.id, Progress())
        is_shown = place.number in progress.answered
        if is_shown:
            _answered(place, values)
            _show_answer(step, result)
        else:
            st.button(
                t("lessons.show_answer"),
                key=f"{key}.show",
                on_click=_answered,
                args=(place, values),
            )
    if step.claim is not None and not is_presenting():
        show_claim(step, stage, key=key)


def _show_answer(step: Step, result: "Result") -> None:
    with shown_errors():
        st.markdown(plain(answer(step, result, language())))
        holds = own_claim(step, result)
        if holds is not None and step.claim is not None:
            said = step.claim.own.text[language()]
            is_true = "true" if holds else "false"
            sentence = plain(t(f"lessons.your_claim_{is_true}", claim=said))
            icon = ":material/check:" if holds else ":material/close:"
            st.markdown(f"{icon} {sentence}")


def _choose_values(place: Place) -> dict[str, Any]:
    """The call's arguments with what the reader chose.

    Raises:
        InputError: a forged or impossible value.
    """
    step, chosen = place.step, _saved(place)
    if not is_presenting():
        st.markdown(f"**{t('lessons.try')}.** {plain(step.hint[language()])}")
        for each in step.inputs:
            key = f"lessons.{place.lesson.id}.{place.number}.{each.name}"
            chosen[each.name] = _choose(each, key, chosen[each.name])
    return step.values(chosen)


def _choose(each: Input, key: str, saved: object) -> object:
    value = each.checked(saved)
    label = each.label[language()]
    if each.kind == "choice":
        return st.selectbox(
            plain(label),
            each.choices,
            index=each.choices.index(str(value)),
            format_func=(
                partial(concept_name, language=language())
                if each.name == "concept"
                else str
            ),
            key=key,
            width=320,
        )
    if each.kind == "text":
        return st.text_area(plain(label), str(value), key=key, height=80)
    if isinstance(each.default, int):
        return st.number_input(
            plain(label), int(each.low), int(each.high), int(value), key=key, width=200
        )
    low, high = float(each.low), float(each.high)
    return st.slider(plain(label), low, high, float(value), _FRACTION, key=key)


def _run_of(source: FeatureSource) -> Run | None:
    """The run that is chosen, else the newest."""
    runs = list_runs()
    return next((run for run in runs if run.id == source.id), next(iter(runs), None))


def _keep(place: Place) -> None:
    """Remembers where the reader is."""
    progress = read_progress()
    own = progress.setdefault(place.lesson.id, Progress())
    number = min(place.number, len(place.lesson.steps))
    if own.step != number or place.lesson.id not in read_progress():
        own.step = number
        with shown_errors():
            write_progress(progress)


def _answered(place: Place, values: dict[str, Any]) -> None:
    """Keeps what was chosen when the answer was read."""
    chosen = {each.name: values[each.name] for each in place.step.inputs}
    progress = read_progress()
    own = progress.setdefault(place.lesson.id, Progress(place.number))
    if own.answered.get(place.number) != chosen:
        own.answered[place.number] = chosen
        with shown_errors():
            write_progress(progress)
