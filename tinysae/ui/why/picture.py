"""Picture: the machine at work on this sentence, with everything in it measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.errors import DamagedError, MissingError
from tinysae.render.numbers import percent
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import link_parameters, t
from tinysae.ui.shell.page import PAGES
from tinysae.ui.why.beside import compared, sentence, show_compare
from tinysae.ui.why.called import called, seen_word
from tinysae.ui.why.check import show_check
from tinysae.ui.why.layers import show_layers, shown_beside
from tinysae.ui.why.machine import Answer, Lamp, machine, machine_data, written_on
from tinysae.ui.why.moments import (
    Moment,
    moments,
    shown_answers,
    version_of,
    what_is_asked,
)
from tinysae.ui.why.take_along import show_take_along

if TYPE_CHECKING:
    from tinysae.features.why.attribution import Part
    from tinysae.features.why.picture import Picture
    from tinysae.ui.why.ask import Question

KEY = "why.machine"


def show_picture(question: Question) -> None:
    """The machine; a feature of it that is opened leads to Features."""
    question = replace(question, beside=shown_beside(question))
    there, kept = compared(question), list[Moment]()
    if there is None:
        kept, is_all = moments(question, KEY)
        first, *written = [_data(each) for each in kept]
        data = written_on(first, written, is_all=is_all)
        picture = kept[0].picture
    else:
        # Of a difference nothing is measured, and nothing is written on.
        picture = _differing(question, there)
        both = Moment(question, picture, {})
        said = sentence(question, there, picture, _words(question))
        version = version_of((there.ids, what_is_asked(question)))
        data = written_on(_data(both, version, said), [], is_all=True)
    opened = machine(data, key=KEY)
    if kept:
        show_check(picture, kept[0].measured, kept[0].measure)
    with st.container(horizontal=True):
        show_layers(question)
        show_compare(question)
        show_take_along(question, picture, data)
    if opened is not None:
        source = question.source_at(picture.hooks[opened.row])
        leads = {"run": source.id, "feature": str(opened.feature)}
        st.switch_page(
            PAGES["features"][0], query_params={**leads, **link_parameters()}
        )


def _differing(here: Question, there: Question) -> Picture:
    """Both pictures as one; neither is kept."""
    from tinysae.features.why.difference import difference
    from tinysae.features.why.picture import picture_of

    each = (
        picture_of(
            *(asked.model, asked.ids, here.target, here.other),
            *(asked.sae, asked.more),
        )
        for asked in (here, there)
    )
    return difference(*each)


def _data(
    moment: Moment, version: int | None = None, compared_says: str | None = None
) -> dict[str, Any]:
    """What the browser draws; with what a comparison says, in its words."""
    question, picture = moment.question, moment.picture
    words, answers = _words(question), _answers(question)
    lamps = [_lamp(question, words, lamp) for lamp in picture.lamps]
    return machine_data(
        picture,
        version=moment.version if version is None else version,
        sentence=compared_says or _sentence(picture, words, answers, lamps),
        words=words,
        answers=answers,
        lamps=lamps,
        measured=moment.measured,
        n_layers=question.model.n_layers,
        is_difference=compared_says is not None,
    )


def _words(question: Question) -> list[str]:
    texts = question.model.token_texts(question.ids)
    return [t("why.machine_start"), *map(seen_word, texts)]


def _answers(question: Question) -> list[Answer]:
    probs = question.log_probs.exp()
    return [
        Answer(seen_word(question.model.token_text(token)), float(probs[token]))
        for token in shown_answers(question)
    ]


def _lamp(question: Question, words: list[str], lamp: Part) -> Lamp:
    if lamp.number is None:
        return Lamp(t("why.machine_missed"), "", t("why.machine_missed_about"), None)
    is_last = lamp.position == len(words) - 1
    where = "" if is_last else t("why.machine_at", word=words[lamp.position or 0])
    try:
        source = question.source_at(lamp.hook_name)
        name, second = called(source, lamp.number)
        table = cache.feature_table(source)
    except (MissingError, DamagedError):
        # What it adds is known without the explorer's index.
        return Lamp(t("why.part_feature", number=lamp.number), where, "", 1.0)
    most = float(table["max_act"].iloc[lamp.number])
    share = min(1.0, (lamp.activation or 0.0) / most) if most else 1.0
    on = t("why.machine_on", share=percent(share))
    return Lamp(name, where or second, f"{second}. {on}" if second else on, share)


def _sentence(
    picture: Picture, words: list[str], answers: list[Answer], lamps: list[Lamp]
) -> str:
    """What is seen: where the answer comes from, by which head, through what."""
    came = [(at, cut) for at, cut in picture.words.items() if picture.effect(cut) > 0]
    if not came:
        return t("why.machine_nowhere", token=answers[0].text)
    at, cut = came[0]
    arc = max((picture.arcs[place] for place in cut.arcs), key=lambda arc: arc.effect)
    head = f"{arc.layer}.{arc.head}" if _has_layers(picture) else f"{arc.head}"
    place = {"word": words[at], "before": words[at - 1]}
    key = "why.machine_comes" if at > 1 else "why.machine_comes_first"
    comes = t(key, token=answers[0].text, head=head, **place)
    lit = [
        lamps[place].name
        for place, lamp in enumerate(picture.lamps)
        if lamp.kind == "feature" and lamp.effect > 0
    ]
    if not lit:
        return comes
    # Names have quotation marks of their own.
    names = "; ".join(dict.fromkeys(lit[:2]))
    return f"{comes} {t('why.machine_through', names=names)}"


def _has_layers(picture: Picture) -> bool:
    return any(arc.layer for arc in picture.arcs)
