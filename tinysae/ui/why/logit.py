"""Why?: the parts that make a logit, where the leading head looks, and the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.errors import DamagedError, MissingError
from tinysae.render import svg
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import shortened
from tinysae.ui.parts.chips import chips
from tinysae.ui.parts.drawing import drawing
from tinysae.ui.parts.framed import framed
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.parts.tokens import StripToken, circuitsvis_attention, token_strip
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note, page_link
from tinysae.ui.why.called import part_called

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tinysae.features.why.attribution import Attribution, Part
    from tinysae.ui.why.ask import Question

N_BARS = 12
N_FEATURES = 5
# Of a name above its bar: as many letters as a phone's line has room for, and of what
# somebody called a feature at most so many lines.
LABEL_COLUMNS, MOST_LINES = 56, 4
# CircuitsVis draws a square of elements for every head.
MAX_ATTENTION_TOKENS = 48


def show_why(question: Question) -> None:
    """The sentence, the bars, the features behind them, the attention, the files."""
    found = question.attribution()
    if question.other is not None:
        names = {
            name: question.word(token)
            for name, token in (("target", question.target), ("other", question.other))
        }
        note(t("why.colours", **names))
    by = choose_parts()
    parts = found.features if by == "features" else found.components
    picture = _show_bars(question, found, parts)
    measured: dict[Part, float] = {}
    if by == "features":
        if found.is_exact:
            note(t("why.exact"))
        else:
            note(t("why.approximate"))
            measured = _measured(question, found)
        _show_features(question, found, measured)
    else:
        note(t("why.model_how"))
    _show_attention(question, found)
    with st.expander(t("why.all_parts")):
        table = _table(question, parts, measured)
        st.dataframe(table, hide_index=True, key="why.table")
    _show_share(question, found, picture)


def _label(question: Question, part: Part) -> str:
    """What a part is called above its bar: of a name that never ends, its number is
    there all the same."""
    name, dot, number = part_called(question.source, part).rpartition(" · ")
    short = shortened(name, LABEL_COLUMNS * MOST_LINES)
    # No line begins with the dot, and none is the number alone.
    return f"{short}\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}{number}" if dot else number


def choose_parts() -> str:
    """Whether to look at features or at the model's own parts."""
    names = {"features": t("why.by_features"), "model": t("why.by_model")}
    return one_of(t("why.by"), names, "features", key="why.by")


def _show_bars(question: Question, found: Attribution, parts: Sequence[Part]) -> str:
    """The bars and their sum; returns the picture."""
    from tinysae.features.why.attribution_table import strongest

    shown, others = strongest(tuple(parts), N_BARS)
    labels = [_label(question, part) for part in shown]
    values = [part.direct for part in shown]
    if others:
        labels.append(t("why.rest", n=f"{len(others):,}"))
        values.append(sum(part.direct for part in others))
    picture = svg.bars(labels, values, title=t("why.bars"), label_columns=LABEL_COLUMNS)
    st.subheader(t("why.bars"), anchor=False)
    drawing(picture, key="why.bars")
    note(
        t(
            "why.sum",
            sum=signed(sum(part.direct for part in parts), 3),
            logit=signed(found.logit, 3),
            left=signed(found.remainder(parts), 4),
        )
    )
    return picture


def _measured(question: Question, found: Attribution) -> dict[Part, float]:
    """What the leading features really do, and a sentence about the estimate."""
    from tinysae.features.why.intervene import correlation, measure_leading, same_sign

    effects = measure_leading(question.model, found, question.sae)
    value = correlation(effects)
    if value is not None:
        right = round(same_sign(effects) * len(effects))
        shown = signed(value)
        note(t("why.estimate_here", n=len(effects), value=shown, right=right))
    elif not effects:
        note(t("why.estimate_unmeasured"))
    return {effect.part: effect.measured for effect in effects}


def _show_features(
    question: Question, found: Attribution, measured: Mapping[Part, float]
) -> None:
    """The features that do the most, with what the explorer knows of them; by what was
    measured, where it was."""
    leading = [part for part in found.features if part.kind == "feature"]
    leading.sort(key=lambda part: -abs(measured.get(part, 0.0)))
    st.subheader(t("why.features_named"), anchor=False)
    if not leading:
        note(t("why.features_none"))
        return
    try:
        table = cache.feature_table(question.source)
    except (MissingError, DamagedError):
        # What was measured is there without the explorer's index.
        table = None
    for part in leading[:N_FEATURES]:
        with st.container(gap="xxsmall"):
            _show_feature_line(question, part, _effect(found, part, measured))
            if table is not None:
                row = table.iloc[part.number]
                st.html(
                    chips(t("playground.feature_fires"), row["top_tokens"])
                    + chips(t("playground.feature_promotes"), row["promoted"])
                )


def _effect(found: Attribution, part: Part, measured: Mapping[Part, float]) -> str:
    """What the feature does with what follows: measured, else estimated; nothing where
    that is what it adds directly."""
    if found.is_exact:
        return ""
    if part in measured:
        return f"{t('why.column_measured')} {signed(measured[part])}"
    return f"{t('why.column_effect')} {signed(part.effect)}"


def _show_feature_line(question: Question, part: Part, effect: str) -> None:
    """A link to the feature, and what it adds."""
    figures = [
        f"{t('why.column_activation')} {part.activation or 0:.2f}",
        f"{t('why.column_direct')} {signed(part.direct)}",
    ]
    if effect:
        figures.append(effect)
    with st.container(horizontal=True, vertical_alignment="center"):
        page_link(
            "features",
            part_called(question.source, part),
            run=question.source.id,
            feature=str(part.number),
        )
        st.html(chips("", figures))


def _table(
    question: Question, parts: Sequence[Part], measured: Mapping[Part, float]
) -> pd.DataFrame:
    import pandas as pd

    model = question.model
    texts = [model.token_text(model.bos_id), *map(question.token, question.ids)]
    columns = {
        t("why.column_part"): [part_called(question.source, part) for part in parts],
        t("why.column_position"): [
            "" if part.position is None else texts[part.position] for part in parts
        ],
        t("why.column_activation"): [part.activation for part in parts],
        t("why.column_direct"): [part.direct for part in parts],
        t("why.column_effect"): [part.effect for part in parts],
    }
    if measured:
        columns[t("why.column_measured")] = [measured.get(part) for part in parts]
    return pd.DataFrame(columns)


def _show_attention(question: Question, found: Attribution) -> None:
    """The head that did the most for the answer, over the text; then all of them."""
    from tinysae.model.attention import attention_pattern

    heads = [part for part in found.components if part.kind == "head"]
    head = max(heads, key=lambda part: part.effect)
    model = question.model
    layer, number = head.layer or 0, head.number or 0
    pattern = attention_pattern(model, question.ids, layer).cpu()
    looks = pattern[number, -1]
    st.subheader(t("why.attention", layer=layer, number=number), anchor=False)
    label = t("why.attention_legend")
    token_strip(
        [
            StripToken(text, value, ((label, percent(value)),))
            for text, value in zip(
                model.token_texts(question.ids), looks[1:].tolist(), strict=True
            )
        ],
        key="why.attention",
        scale="sequential",
        low=0.0,
        high=max(round(float(looks[1:].max()), 2), 0.01),
        legend=label,
    )
    note(t("why.attention_how"))
    with st.expander(t("why.attention_all")):
        n = min(len(question.ids), MAX_ATTENTION_TOKENS)
        shown = [0, *range(1 + len(question.ids) - n, 1 + len(question.ids))]
        ids = [model.bos_id, *question.ids]
        framed(
            circuitsvis_attention(
                [model.token_text(ids[at]) for at in shown],
                pattern[:, shown][:, :, shown],
            ),
            t("why.attention_all"),
            key="why.attention_all",
        )
        note(t("why.attention_shown", n=n, total=len(question.ids)))


def _show_share(question: Question, found: Attribution, picture: str) -> None:
    from tinysae.features.why.attribution_table import attribution_code, attribution_csv

    st.subheader(t("why.share"), anchor=False)
    with st.container(horizontal=True):
        st.download_button(
            t("why.csv"), attribution_csv(found), "attribution.csv", "text/csv"
        )
        st.download_button(
            t("why.svg"), svg.standalone(picture), "attribution.svg", "image/svg+xml"
        )
    with st.expander(t("why.python")):
        code = attribution_code(question.model, found, question.source.sae_dir)
        st.code(code, language="python")
