"""The machine's moments: the question's own picture, then one for each word that it
writes on.

A visit keeps them: a slider, or a click elsewhere, computes none of them again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.ui.shell.i18n import language
from tinysae.ui.why.called import seen_word
from tinysae.ui.why.machine import (
    Answer,
    Without,
    asked_part,
    cuts_of,
    wanted_words,
)

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.features.why.picture import Picture
    from tinysae.ui.why.ask import Question

# Words that it writes on, and how long a run of the page draws them.
N_WRITTEN, WRITING_S = 12, 0.4
# Of what could come next.
N_ANSWERS = 5
_KEPT = "why.moments"


@dataclass(frozen=True, eq=False)
class Moment:
    """A question with its picture.

    Attributes:
        measured: what is measured of it, by the name of a part.
        version: tells the browser which picture it is about.
    """

    question: Question
    picture: Picture
    measured: dict[str, Without]

    @property
    def version(self) -> int:
        return version_of(what_is_asked(self.question))

    def measure(self, names: list[str]) -> None:
        """Takes parts out and adds what is lost to `measured`."""
        from tinysae.features.why.cuts import lost, without

        asked, cuts = self.question, cuts_of(self.picture)
        logits = without(
            asked.model,
            self.picture,
            [cuts[name] for name in names],
            asked.sae,
            asked.more,
        )
        probs = logits.softmax(-1)
        shown = shown_answers(asked)
        for name, by, row in zip(
            names, lost(self.picture, logits), probs[1:], strict=True
        ):
            self.measured[name] = _without(asked, by, probs[0], row, shown)


def moments(question: Question, key: str) -> tuple[list[Moment], bool]:
    """Those that are there so far, the question's own first, and whether that is all.

    What is quick is measured at once, anything else when it is asked for; words are
    written when they are wanted, as many as a run of the page has time for.

    Args:
        question: whose answer is the first word written.
        key: of the machine, in which the reader asks.
    """
    asked = what_is_asked(question)
    before, kept = st.session_state.get(_KEPT, (None, []))
    if before != asked or not kept:
        kept = [_moment(question)]
        st.session_state[_KEPT] = (asked, kept)
    for moment in kept:
        part = asked_part(key, moment.version)
        if part in cuts_of(moment.picture) and part not in moment.measured:
            moment.measure([part])
    wanted = min(wanted_words(key, kept[0].version), N_WRITTEN)
    begun = time.monotonic()
    is_over = False
    while len(kept) <= wanted and time.monotonic() - begun < WRITING_S:
        after = _after(kept[-1].question)
        if after is None:
            is_over = True
            break
        kept.append(_moment(after))
    return kept, is_over or len(kept) > N_WRITTEN


def what_is_asked(question: Question) -> tuple[object, ...]:
    """What a picture depends on: the text, the words and the SAEs."""
    beside = tuple(source.id for source, _ in question.beside.values())
    own = (question.source.id, beside)
    return (*own, question.ids, question.target, question.other)


def version_of(asked: object) -> int:
    """Of a picture: what was asked, in the language in which it is told."""
    return hash((asked, language())) & 0x7FFFFFFF


def shown_answers(question: Question) -> list[int]:
    """The tokens on top: what is explained, what it is compared with, the likeliest."""
    likely = question.log_probs.topk(min(N_ANSWERS, len(question.log_probs))).indices
    first = [question.target, *([] if question.other is None else [question.other])]
    return list(dict.fromkeys([*first, *likely.tolist()]))[:N_ANSWERS]


def _moment(question: Question) -> Moment:
    from tinysae.features.why.cuts import affordable
    from tinysae.features.why.picture import picture_of

    picture = picture_of(
        question.model,
        question.ids,
        question.target,
        question.other,
        question.sae,
        question.more,
    )
    moment = Moment(question, picture, {})
    if names := list(cuts_of(picture))[: affordable(question.model, picture)]:
        moment.measure(names)
    return moment


def _after(question: Question) -> Question | None:
    """What comes after the answer, the likeliest over the second; None where the text
    ends or is as long as the model reads."""
    from tinysae.model.text.logprobs import next_log_probs

    model = question.model
    ids = (*question.ids, question.target)
    # The start stands before them.
    if question.target == model.bos_id or len(ids) >= model.n_ctx:
        return None
    log_probs = next_log_probs(model, ids).cpu()
    target, *others = log_probs.topk(2).indices.tolist()
    other = None if question.other is None else others[0]
    return replace(question, ids=ids, log_probs=log_probs, target=target, other=other)


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
