"""One step of a lesson: a text, a live cell, one thing to try, a question, its answer.

The address says where the reader is (`?lesson=names&step=4&run=...`); progress is kept
in the home folder as well.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.checked_numbers import typed_whole
from tinysae.errors import MissingError, TinysaeError
from tinysae.lessons.answers import answer, own_claim
from tinysae.lessons.calls import registry
from tinysae.lessons.calls.cases import filled
from tinysae.lessons.calls.results import Stage
from tinysae.lessons.lesson import Input, Lesson, Step
from tinysae.lessons.lesson_file import load_lesson
from tinysae.lessons.progress import (
    Progress,
    keep_answer,
    keep_place,
    read_progress,
)
from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.ui.lessons import asked
from tinysae.ui.lessons.claim import show_claim
from tinysae.ui.lessons.guess import show_guesses, show_verdict
from tinysae.ui.lessons.presenting import PARAMETER, is_presenting, present
from tinysae.ui.lessons.stage import (
    choose,
    choose_source,
    go,
    has_own_run,
    stage_of,
)
from tinysae.ui.lessons.training import show_offer, show_training
from tinysae.ui.lessons.views import show_views
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import WAY_BACK, Page, note, page_link, plain, shown_errors

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from tinysae.lessons.calls.results import Result

# Streamlit's number inputs take no larger steps than that of their format.
_FRACTION = 0.1


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


def open_place(lesson_id: str, top: "DeltaGenerator") -> Place:
    """The lesson and the step that the address names, else the first; the way back to
    all lessons in `top`.

    Raises:
        MissingError, DamagedError: from `load_lesson`.
    """
    if not is_presenting():
        with top:
            # A title has room above it; a link would begin under Streamlit's header.
            st.space("small")
            page_link("lessons", t("lessons.all"), icon=":material/arrow_back:")
    lesson = load_lesson(lesson_id)
    asked = typed_whole(st.query_params.get("step"), below=1000) or 1
    place = Place(lesson, min(asked, len(lesson.steps) + 1))
    if is_presenting():
        with top:
            present(partial(_turn, place))
    _keep(place)
    return place


def show_step(place: Place, top: "DeltaGenerator") -> None:
    """The whole step, in reading order; what is above its title in `top`."""
    step, lesson = place.step, place.lesson
    where = t("lessons.where", step=place.number, n=len(lesson.steps))
    said = where if is_presenting() else f"{lesson.title[language()]} · {where}"
    top.progress(place.number / (len(lesson.steps) + 1), plain(said))
    st.title(plain(step.title[language()]), anchor=False)
    st.markdown(plain(step.text[language()]))
    if step.page is not None and not is_presenting():
        page_link(
            step.page,
            t(f"lessons.to_{step.page}"),
            quiet=False,
            **_way_there(place, step.page),
        )
    # Whatever becomes of the step, there is a way to the next.
    with shown_errors():
        try:
            _show_cell(place)
        except TinysaeError as error:
            _show_gone(place, error)
    show_moves(place)


def _show_gone(place: Place, error: TinysaeError) -> None:
    """Which step cannot be asked, why, and a way on."""
    why = error.in_language(language())
    # What is only not there yet is nobody's mistake.
    show = st.info if isinstance(error, MissingError) else st.error
    show(plain(t("lessons.gone", step=place.number, why=why)))
    if st.query_params.get("run") not in (None, STORYBOOK_SAE):
        st.button(t("lessons.use_embedded"), on_click=choose, args=(None,))


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
    go(step=str(number))


def _turn(place: Place, by: int) -> None:
    """A presenter's key: on first comes the answer, then the next step."""
    if by > 0 and not place.is_end and not is_answered(place):
        _answered(place, place.step.values(_saved(place)))
    else:
        move(place, by)


def is_answered(place: Place) -> bool:
    """Whether the reader has seen the step's answer."""
    own = read_progress().get(place.lesson.id, Progress())
    return place.number in own.answered


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


def _present() -> None:
    go(**{PARAMETER: None if is_presenting() else "1"})


def _way_there(place: Place, page: Page) -> dict[str, str]:
    """What a link to another page carries: the way back, and the training or the story
    asked of."""
    way = {WAY_BACK: f"{place.lesson.id}.{place.number}"}
    run = st.query_params.get("run")
    if run and page == "train":
        way["run"] = run
    return {**way, **_question(place)} if page == "why" else way


def _question(place: Place) -> dict[str, str]:
    """What Inside is asked: the step's story, its name, and the name beside that."""
    chosen = _saved(place)
    for each in place.step.inputs:
        key = f"{_key(place)}.{each.name}"
        chosen[each.name] = st.session_state.get(key, chosen[each.name])
    values: dict[str, Any] = {}
    # What is wrong with a choice is said where it is made.
    with suppress(TinysaeError):
        values = place.step.values(chosen)
    template, name = values.get("template"), values.get("name")
    if not template or not name:
        return {}
    story = {"text": filled(template, name), "target": name}
    return story | ({"other": values["other"]} if values.get("other") else {})


def _show_cell(place: Place) -> None:
    step = place.step
    if registry.CALLS[step.call].needs == "run":
        _show_hint(step)
        show_training(partial(_show_curve, place))
        return
    source = choose_source()
    if has_own_run(place.lesson) and registry.CALLS[step.call].needs == "sae":
        show_offer(source, _way_there(place, "train"))
    stage = stage_of(source, step)
    values = _choose_values(place)
    with st.spinner(t("lessons.working")):
        result = asked.lesson_result(stage, step.call, values)
    _show_result(place, result, values)
    if step.claim is not None and not is_presenting():
        show_claim(step, stage, key=_key(place))


def _show_curve(place: Place, stage: Stage) -> None:
    """What a step finds in a run as it is now.

    Raises:
        MissingError: it has no point on its curve yet.
    """
    values = place.step.values({})
    _show_result(place, registry.asked(place.step.call, stage, values), values)


def _key(place: Place) -> str:
    return f"lessons.{place.lesson.id}.{place.number}"


def _show_result(place: Place, result: "Result", values: dict[str, Any]) -> None:
    step, key = place.step, _key(place)
    show_views(result.views, key=key)
    with st.container(border=True):
        st.markdown(
            f"**{t('lessons.question')}**  \n{plain(step.question[language()])}"
        )
        is_shown = is_answered(place)
        guess = show_guesses(step, key=key, on_guess=partial(_answered, place, values))
        if is_shown:
            _answered(place, values)
            _show_answer(step, result, guess)
        else:
            st.button(
                t("lessons.show_answer"),
                key=f"{key}.show",
                on_click=_answered,
                args=(place, values),
            )


def _show_answer(step: Step, result: "Result", guess: int | None) -> None:
    with shown_errors():
        if guess is not None:
            show_verdict(step, result, guess)
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
        _show_hint(step)
        for each in step.inputs:
            key = f"{_key(place)}.{each.name}"
            chosen[each.name] = _choose(each, key, chosen[each.name])
    return step.values(chosen)


def _show_hint(step: Step) -> None:
    if not is_presenting():
        st.markdown(f"**{t('lessons.try')}.** {plain(step.hint[language()])}")


def _choose(each: Input, key: str, saved: object) -> object:
    value = each.checked(saved)
    label = each.label[language()]
    if each.kind == "choice":
        return st.selectbox(
            plain(label),
            each.choices,
            index=each.choices.index(str(value)),
            format_func=partial(each.said, language=language()),
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


def _keep(place: Place) -> None:
    """Remembers where the reader is; beyond the last step is the summary."""
    with shown_errors():
        keep_place(place.lesson.id, place.number)


def _answered(place: Place, values: dict[str, Any]) -> None:
    """Keeps what was chosen when the answer was read."""
    chosen = {each.name: values[each.name] for each in place.step.inputs}
    with shown_errors():
        keep_answer(place.lesson.id, place.number, chosen)
