"""Picture: the machine at work on this sentence, with everything in it measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.errors import DamagedError, MissingError
from tinysae.render.numbers import percent
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, link_parameters, t
from tinysae.ui.shell.page import PAGES
from tinysae.ui.why.beside import compared, sentence, show_compare
from tinysae.ui.why.called import called, seen_word
from tinysae.ui.why.check import show_check
from tinysae.ui.why.machine import (
    Answer,
    Lamp,
    Without,
    asked_part,
    cuts_of,
    machine,
    machine_data,
)
from tinysae.ui.why.take_along import show_take_along

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.attribution import Part
    from tinysae.features.why.picture import Picture
    from tinysae.ui.why.ask import Question

KEY = "why.machine"
# What was drawn last: a slider or a click elsewhere must not compute it again.
_DRAWN = "why.drawn"
N_ANSWERS = 5


def show_picture(question: Question) -> None:
    """The machine; a feature of it that is opened leads to Features."""
    words = [
        t("why.machine_start"),
        *map(seen_word, question.model.token_texts(question.ids)),
    ]
    there = compared(question)
    if there is None:
        picture, measured, version = _drawn(question)
        data = _data(question, picture, measured, version, words)
    else:
        picture, measured = _differing(question, there), None
        version = hash((there.ids, question.ids, language())) & 0x7FFFFFFF
        said = sentence(question, there, picture, words)
        data = _data(question, picture, {}, version, words, said)
    feature = machine(data, key=KEY)
    if measured is not None:
        show_check(
            picture,
            measured,
            lambda names: measured.update(_measured(question, picture, names)),
        )
    with st.container(horizontal=True):
        show_compare(question)
        show_take_along(question, picture, data)
    if feature is not None:
        opened = {"run": question.source.id, "feature": str(feature)}
        st.switch_page(
            PAGES["features"][0], query_params={**opened, **link_parameters()}
        )


def _differing(here: Question, there: Question) -> Picture:
    """Both pictures as one; neither is kept."""
    from tinysae.features.why.difference import difference
    from tinysae.features.why.picture import picture_of

    each = (
        picture_of(asked.model, asked.ids, here.target, here.other, asked.sae)
        for asked in (here, there)
    )
    return difference(*each)


def _data(
    question: Question,
    picture: Picture,
    measured: dict[str, Without],
    version: int,
    words: list[str],
    compared_says: str | None = None,
) -> dict[str, Any]:
    """What the browser draws; with what a comparison says, in its words."""
    answers = _answers(question)
    lamps = [_lamp(question, words, lamp) for lamp in picture.lamps]
    return machine_data(
        picture,
        version=version,
        sentence=compared_says or _sentence(picture, words, answers, lamps),
        words=words,
        answers=answers,
        lamps=lamps,
        measured=measured,
        n_layers=question.model.n_layers,
        hook_layer=_hook_layer(question),
        is_difference=compared_says is not None,
    )


def _drawn(question: Question) -> tuple[Picture, dict[str, Without], int]:
    """The picture, and what is measured of it: at once where that is quick, else a part
    when it is asked for."""
    from tinysae.features.why.cuts import affordable
    from tinysae.features.why.picture import picture_of

    asked = (question.source.id, question.ids, question.target, question.other)
    version = hash((asked, language())) & 0x7FFFFFFF
    before, kept = st.session_state.get(_DRAWN, (None, None))
    if before != asked or kept is None:
        picture = picture_of(
            question.model,
            question.ids,
            question.target,
            question.other,
            question.sae,
        )
        kept = (picture, {})
        st.session_state[_DRAWN] = (asked, kept)
        wanted = list(cuts_of(picture))[: affordable(question.model, picture)]
    else:
        part = asked_part(KEY, version)
        wanted = [part] if part in cuts_of(kept[0]) else []
    picture, measured = kept
    if missing := [name for name in wanted if name not in measured]:
        measured |= _measured(question, picture, missing)
    return picture, measured, version


def _measured(
    question: Question, picture: Picture, names: list[str]
) -> dict[str, Without]:
    from tinysae.features.why.cuts import lost, without

    cuts = cuts_of(picture)
    logits = without(
        question.model, picture, [cuts[name] for name in names], question.sae
    )
    probs = logits.softmax(-1)
    shown = _shown(question)
    return {
        name: _without(question, by, probs[0], row, shown)
        for name, by, row in zip(names, lost(picture, logits), probs[1:], strict=True)
    }


def _without(
    question: Question, by: float, before: Tensor, after: Tensor, shown: list[int]
) -> Without:
    best = int(after.argmax())
    return Without(
        by,
        tuple(after[shown].tolist()),
        Answer(seen_word(question.model.token_text(best)), float(after[best])),
        None if best in shown else float(before[best]),
    )


def _shown(question: Question) -> list[int]:
    """The tokens on top: what is explained, what it is compared with, the likeliest."""
    likely = question.log_probs.topk(min(N_ANSWERS, len(question.log_probs))).indices
    first = [question.target, *([] if question.other is None else [question.other])]
    return list(dict.fromkeys([*first, *likely.tolist()]))[:N_ANSWERS]


def _answers(question: Question) -> list[Answer]:
    probs = question.log_probs.exp()
    return [
        Answer(seen_word(question.model.token_text(token)), float(probs[token]))
        for token in _shown(question)
    ]


def _lamp(question: Question, words: list[str], lamp: Part) -> Lamp:
    if lamp.number is None:
        return Lamp(t("why.machine_missed"), "", t("why.machine_missed_about"), None)
    is_last = lamp.position == len(words) - 1
    where = "" if is_last else t("why.machine_at", word=words[lamp.position or 0])
    try:
        name, second = called(question.source, lamp.number)
        table = cache.feature_table(question.source)
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


def _hook_layer(question: Question) -> float:
    """The layer under whose lamps its heads stand: before attention, none of it."""
    _, layer, name = question.sae.hook_name.split(".")
    return int(layer) - 0.5 if name == "hook_resid_pre" else int(layer)
