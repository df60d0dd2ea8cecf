"""Ranks: how high the model ranks the answers that somebody expects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.model.text.ranks import answer_ranks, answers_in, spaced
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import visible
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, plain, shown_errors
from tinysae.ui.write.controls import prompt_field, show_notices
from tinysae.ui.write.suite import show_suite

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.ranks import AnswerRanks
    from tinysae.model.text.state import State


def choose_answers(state: State) -> State:
    """The prompt and the answers; `state` with what they say."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        prompt = prompt_field(state)
    answers = right.text_area(
        t("playground.answers"),
        state.answers,
        key="_answers",
        help=t("playground.answers_help"),
        height=80,
    )
    prepend_space = st.toggle(
        t("playground.prepend_space"),
        state.prepend_space,
        key="_prepend_space",
        help=t("playground.prepend_space_help"),
    )
    return replace(state, prompt=prompt, answers=answers, prepend_space=prepend_space)


def show_ranks(model: LoadedModel, state: State) -> None:
    """Each answer's tokens in turn, the ten likeliest beside them; then the suite."""
    with shown_errors():
        answers = answers_in(state.answers)
        ranks = [
            answer_ranks(model, state.prompt, answer, prepend_space=state.prepend_space)
            for answer in answers
        ]
        show_notices(model, ranks[0].prompt)
        if len(answers) > 1:
            _show_overview(answers, ranks, state.prepend_space)
        for answer, each in zip(answers, ranks, strict=True):
            _show_answer(model, answer, each, state.prepend_space)
        note(t("playground.ranks_note"))
    with shown_errors():
        show_suite(model, state)


def _said(answer: str, prepend_space: bool) -> str:
    return visible(spaced(answer) if prepend_space else answer)


def _show_overview(
    answers: list[str], ranks: list[AnswerRanks], prepend_space: bool
) -> None:
    pairs = zip(answers, ranks, strict=True)
    ordered = sorted(pairs, key=lambda pair: pair[1].tokens[0].rank)
    st.table(
        [
            {
                t("playground.answer"): plain(_said(answer, prepend_space)),
                t("playground.rank_0"): f"{each.tokens[0].rank:,}",
                t("playground.prob"): percent(each.tokens[0].prob),
            }
            for answer, each in ordered
        ]
    )
    note(t("playground.ranks_first_token"))


def _show_answer(
    model: LoadedModel, answer: str, ranks: AnswerRanks, prepend_space: bool
) -> None:
    st.subheader(plain(f"“{_said(answer, prepend_space)}”"), anchor=False)
    if len(ranks.tokens) > 1:
        note(
            t(
                "playground.answer_whole",
                n=len(ranks.tokens),
                rank=f"{ranks.rank:,}",
                prob=percent(ranks.prob),
            )
        )
    if ranks.merges:
        said = _said(answer, prepend_space)
        note(t("playground.answer_merges", answer=said))
    for token, top in zip(ranks.tokens, ranks.top, strict=True):
        own = t(
            "playground.answer_token",
            token=visible(model.token_text(token.token_id)),
            rank=f"{token.rank:,}",
            prob=percent(token.prob),
            logit=signed(token.logit),
        )
        st.markdown(plain(own))
        st.table(
            {
                t("playground.rank_0"): [f"{each.rank}" for each in top],
                t("playground.token"): [
                    plain(visible(model.token_text(each.token_id))) for each in top
                ],
                t("playground.prob"): [percent(each.prob) for each in top],
                t("playground.logit"): [signed(each.logit) for each in top],
            }
        )
