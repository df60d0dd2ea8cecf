"""What if?: features and heads changed, and what the model says then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from tinysae.render.numbers import percent, signed
from tinysae.ui.parts.distribution import Candidate, distribution_chart
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.parts.tokens import StripToken, token_strip
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, plain
from tinysae.ui.why.ask import linked_feature
from tinysae.ui.why.called import numbered, part_called

if TYPE_CHECKING:
    from tinysae.features.why.attribution import Attribution
    from tinysae.features.why.intervene import AnyChange, Intervention
    from tinysae.ui.why.ask import Question

# Switched off when the page opens.
N_CHOSEN = 3
N_CANDIDATES = 8
# Features and heads to choose from.
MAX_OFFERED = 16
# A token the model gave 1 chance in 55, as in the playground.
LOWEST_LOG_PROB = -4.0
# In nats: below it a change is rounding, and a scale narrower than that shows noise.
NO_CHANGE, LEAST_CHANGE = 0.001, 0.1
MAX_EFFECTS = 40


def show_whatif(question: Question) -> None:
    """What to change, then what came of it, then predictions against measurements."""
    from tinysae.features.why.intervene import intervene

    found = question.attribution()
    changes = _choose_changes(question, found)
    if changes:
        done = intervene(question.model, question.ids, changes, sae=question.sae)
        _show_next(question, done)
        _show_heatmaps(question, done)
    else:
        note(t("why.off_nothing"))
    _show_effects(question, found)


def _choose_changes(question: Question, found: Attribution) -> list[AnyChange]:
    from tinysae.features.why.intervene import FeatureChange, HeadChange

    # Parts are in the order of their effect; a feature may be active at many tokens.
    active = [part for part in found.features if part.kind == "feature"]
    linked = linked_feature(question.sae)
    options = list(dict.fromkeys(part.number for part in active))[:MAX_OFFERED]
    helpful = [part.number for part in active if part.effect > 0]
    first = list(dict.fromkeys(helpful))[:N_CHOSEN]
    if linked is not None:
        options, first = list(dict.fromkeys([linked, *options])), [linked]
    # Another text, or other tokens, have other features.
    asked = (question.source.id, question.ids, question.target, question.other, linked)
    chosen = st.pills(
        t("why.off_features"),
        options,
        selection_mode="multi",
        default=[number for number in first if number in options],
        format_func=lambda number: plain(numbered(question.source, number)),
        key=f"why.off.{hash(asked)}",
    )
    heads = st.pills(
        t("why.off_heads"),
        _leading_heads(found),
        selection_mode="multi",
        format_func=lambda head: t("why.part_head", layer=head[0], number=head[1]),
        key="why.heads",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        value = st.number_input(
            t("why.off_value"),
            value=0.0,
            step=1.0,
            help=t("why.off_value_help"),
            key="why.value",
            width=200,
        )
        places = {"last": t("why.off_last"), "all": t("why.off_everywhere")}
        where = one_of(t("why.off_where"), places, "last", key="why.where")
    at = None if where == "all" else (found.n_tokens - 1,)
    return [
        *(
            FeatureChange(feature, float(value), at)
            for feature in chosen
            if feature is not None
        ),
        *(HeadChange(layer, head, 0.0, at) for layer, head in heads),
    ]


def _leading_heads(found: Attribution) -> list[tuple[int, int]]:
    """The heads that do the most, by layer and number."""
    heads = [part for part in found.components if part.kind == "head"]
    heads.sort(key=lambda part: -abs(part.effect))
    return sorted((part.layer or 0, part.number or 0) for part in heads[:MAX_OFFERED])


def _show_next(question: Question, done: Intervention) -> None:
    """The next token's distribution, and what became of the one asked about."""
    before, after = done.before[-1].exp(), done.after[-1].exp()
    st.subheader(t("why.next"), anchor=False)
    st.markdown(
        plain(
            t(
                "why.off_result",
                target=question.word(question.target),
                before=percent(float(before[question.target])),
                after=percent(float(after[question.target])),
            )
        )
    )
    show_distribution(question, before, after, key="why.next")


def show_distribution(question: Question, before: Any, after: Any, *, key: str) -> None:
    """The likeliest tokens before [d_vocab] and after, the likelier of both first."""
    n = min(N_CANDIDATES, len(before))
    best = before.maximum(after).topk(n).indices.tolist()
    distribution_chart(
        [
            Candidate(
                question.model.token_text(token),
                float(before[token]),
                float(after[token]),
            )
            for token in best
        ],
        key=key,
        words="why",
    )


def _show_heatmaps(question: Question, done: Intervention) -> None:
    """Each token's log-prob as the model is, and with the change."""
    import torch

    ids = torch.tensor(question.ids)[:, None]
    before, after = (
        x[:-1].gather(1, ids)[:, 0].tolist() for x in (done.before, done.after)
    )
    texts = question.model.token_texts(question.ids)
    label, change = t("why.heat_legend"), t("why.change")
    sides = st.columns(2, gap="large")
    for side, name, values in zip(
        sides, ("before", "after"), (before, after), strict=True
    ):
        with side:
            st.markdown(f"**{plain(t(f'why.heat_{name}'))}**")
            token_strip(
                [
                    StripToken(text, value, ((label, signed(value)),))
                    for text, value in zip(texts, values, strict=True)
                ],
                key=f"why.heat_{name}",
                scale="sequential",
                low=LOWEST_LOG_PROB,
                high=0.0,
                legend=label,
            )
    moved = [b - a for a, b in zip(before, after, strict=True)]
    if not any(abs(each) > NO_CHANGE for each in moved):
        return
    high = round(max(LEAST_CHANGE, *map(abs, moved)), 1)
    token_strip(
        [
            StripToken(
                text,
                each if abs(each) > NO_CHANGE else None,
                ((change, signed(each, 3)),),
            )
            for text, each in zip(texts, moved, strict=True)
        ],
        key="why.heat_change",
        scale="diverging",
        low=-high,
        high=high,
        legend=t("why.heat_change"),
    )


def _show_effects(question: Question, found: Attribution) -> None:
    """Predicted and measured, a row a feature, and their correlation."""
    import pandas as pd

    from tinysae.features.why.intervene import correlation, measure

    last = found.n_tokens - 1
    parts = [
        part
        for part in found.features
        if part.kind == "feature" and part.position == last
    ][:MAX_EFFECTS]
    st.subheader(t("why.predicted"), anchor=False)
    if not parts:
        note(t("why.features_none"))
        return
    note(t("why.predicted_how"))
    effects = measure(question.model, found, parts, question.sae)
    value = correlation(effects)
    if value is None:
        note(t("why.no_correlation"))
    else:
        st.markdown(plain(t("why.correlation", n=len(effects), value=signed(value, 3))))
    st.dataframe(
        pd.DataFrame(
            {
                t("why.column_part"): [
                    part_called(question.source, e.part) for e in effects
                ],
                t("why.column_activation"): [e.part.activation for e in effects],
                t("why.column_predicted"): [e.predicted for e in effects],
                t("why.column_measured"): [e.measured for e in effects],
            }
        ),
        hide_index=True,
        key="why.effects",
    )
