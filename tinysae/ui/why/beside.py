"""Another sentence beside this one: the same picture, coloured by what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.render.numbers import percent, signed
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import more, note
from tinysae.ui.why.ask import MAX_CHARACTERS
from tinysae.ui.why.called import seen_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysae.features.why.picture import Picture
    from tinysae.ui.why.ask import Question

_KEY = "why.compare"


def compared(question: Question) -> Question | None:
    """The same question after the other sentence; None where there is none, or none
    that differs.

    Raises:
        InputError: a text that the model cannot read.
    """
    from tinysae.model.text.logprobs import next_log_probs
    from tinysae.model.text.prompt import prepare_prompt

    told = str(st.session_state.get(_KEY) or "")[:MAX_CHARACTERS]
    ids = prepare_prompt(question.model, told, 0).ids if told.strip() else ()
    if not ids or tuple(ids) == question.ids:
        return None
    log_probs = next_log_probs(question.model, ids).cpu()
    return replace(question, ids=tuple(ids), log_probs=log_probs)


def show_compare(question: Question) -> None:
    """The field for another sentence; it begins with this one, to change a word of."""
    with more("why_compare", t("why.compare")):
        st.session_state.setdefault(_KEY, "")
        st.text_area(
            t("why.compare_field"),
            key=_KEY,
            max_chars=MAX_CHARACTERS,
            placeholder=question.model.decode(question.ids),
            help=t("why.compare_help"),
        )
        note(t("why.compare_how"))


def sentence(
    here: Question, there: Question, both: Picture, words: Sequence[str]
) -> str:
    """The answer's probability in both, and the arc that makes most of it."""
    said = t(
        "why.compare_says",
        token=seen_word(here.model.token_text(here.target)),
        here=percent(float(here.log_probs[here.target].exp())),
        there=percent(float(there.log_probs[here.target].exp())),
    )
    if not both.arcs:
        return said
    arc = both.arcs[0]
    values = {"word": words[arc.source], "head": f"{arc.layer}.{arc.head}"}
    most = t("why.compare_most", effect=signed(arc.effect), **values)
    return f"{said} {most}"
