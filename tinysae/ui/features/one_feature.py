"""What the features page shows of one feature, piece by piece."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tinysae.render import svg
from tinysae.render.numbers import percent
from tinysae.render.visible import visible
from tinysae.ui.features.explored import Explored, feature_columns, opening_dataframe
from tinysae.ui.parts.drawing import drawing
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain

if TYPE_CHECKING:
    from tinysae.features.index.records import FeatureRecord, FiringToken, LogitKind


def show_figures(record: "FeatureRecord", explored: Explored) -> None:
    """Its figures with their formulas, its tokens, and what it pushes."""
    if explored.labels and explored.labels[record.feature].text:
        _show_label(record.feature, explored)
    if record.is_dead:
        st.info(t("features.dead"))
    else:
        _show_numbers(record, explored)
        show_firing(record)
    show_pushes(record)


def _show_numbers(record: "FeatureRecord", explored: Explored) -> None:
    n_fired = f"{record.n_fired:,}"
    given = {
        "n_fired": n_fired,
        "n_tokens": f"{explored.index.info.n_tokens:,}",
        "bos": visible(explored.index.bos_text),
    }
    values = {
        "density": percent(record.density),
        "max_act": f"{record.max_act:.2f}",
        "mean_act": f"{record.mean_act:.2f}",
        "n_fired": n_fired,
    }
    with st.container(horizontal=True):
        for name, value in values.items():
            formula = t(f"features.{name}_help", **given)
            st.metric(t(f"features.{name}"), value, help=plain(formula), width=165)


def _show_label(feature: int, explored: Explored) -> None:
    label = explored.labels[feature]
    st.markdown(f"**{plain(explored.label_texts[feature])}**")
    if label.f1 is not None:
        score = t(
            "features.label_score",
            f1=f"{label.f1:.2f}",
            precision=percent(label.precision or 0.0),
            recall=percent(label.recall or 0.0),
        )
        st.markdown(f":small[{plain(score)}]")


def show_pushes(record: "FeatureRecord") -> None:
    """The tokens the feature pushes towards and away from, and all others."""
    st.subheader(t("features.pushes"), anchor=False)
    st.caption(t("features.pushes_how"))
    kind: LogitKind = "raw"
    if "folded" in record.promoted and st.toggle(
        t("features.folded"),
        key="features.folded",
        help=plain(t("features.folded_help")),
        persist_state="page",
    ):
        kind = "folded"
    # The most extreme at both ends, as on a thermometer.
    bars = [*record.promoted[kind], *reversed(record.suppressed[kind])]
    drawn, others = st.columns([3, 2], gap="large")
    with drawn:
        drawing(
            svg.bars(
                [visible(token.text) for token in bars],
                [token.logit for token in bars],
                title=t("features.pushes"),
            ),
            key="features.logits",
        )
    if kind in record.logit_histogram:
        edges, counts = record.logit_histogram[kind]
        with others:
            st.markdown(f"**{t('features.logit_histogram')}**")
            st.caption(t("features.logit_histogram_how"))
            drawing(
                svg.histogram(
                    edges.tolist(),
                    counts.tolist(),
                    title=t("features.logit_histogram"),
                ),
                key="features.logit_histogram",
            )


def show_firing(record: "FeatureRecord") -> None:
    """On which tokens the feature fires, and how strongly."""
    tokens, histogram = st.columns(2, gap="large")
    with tokens:
        st.subheader(t("features.fires_on"), anchor=False)
        chosen = "mass"
        if record.precise_tokens:
            names = {
                way: t(f"features.tokens_by_{way}") for way in ("mass", "precision")
            }
            chosen = one_of(
                t("features.fires_on"),
                names,
                "mass",
                key="features.tokens_by",
                label_visibility="collapsed",
                persist_state="page",
            )
        _show_tokens(record.precise_tokens if chosen == "precision" else record.tokens)
    with histogram:
        st.subheader(t("features.histogram"), anchor=False)
        st.caption(t("features.histogram_how"))
        edges, counts = record.histogram
        drawing(
            svg.histogram(
                edges.tolist(), counts.tolist(), title=t("features.histogram")
            ),
            key="features.histogram",
        )


def _show_tokens(tokens: Sequence["FiringToken"]) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "token": [visible(token.text) for token in tokens],
                "mass_share": [token.mass_share for token in tokens],
                "precision": [token.precision for token in tokens],
            }
        ),
        hide_index=True,
        height=300,
        column_config={
            "token": t("features.token"),
            "mass_share": st.column_config.ProgressColumn(
                t("features.mass_share"),
                help=t("features.mass_share_help"),
                format="percent",
            ),
            "precision": st.column_config.NumberColumn(
                t("features.precision"),
                help=t("features.precision_help"),
                format="percent",
            ),
        },
    )


def show_related(record: "FeatureRecord", explored: Explored) -> None:
    """Features that point the same way, and those that fire with it; each opens."""
    if not (record.neighbours or record.cofiring):
        return
    near, together = st.columns(2, gap="large")
    with near:
        st.subheader(t("features.neighbours"), anchor=False)
        st.caption(t("features.neighbours_how"))
        _show_features(
            explored,
            [each.feature for each in record.neighbours],
            key="features.neighbours",
            name="cosine",
            values=[each.cosine for each in record.neighbours],
            format="%.2f",
        )
    with together:
        st.subheader(t("features.cofiring"), anchor=False)
        st.caption(t("features.cofiring_how"))
        _show_features(
            explored,
            [each.feature for each in record.cofiring],
            key="features.cofiring",
            name="jaccard",
            values=[each.jaccard for each in record.cofiring],
            format="percent",
        )


def _show_features(
    explored: Explored,
    features: Sequence[int],
    *,
    key: str,
    name: str,
    values: Sequence[float],
    format: str,
) -> None:
    column = st.column_config.NumberColumn(
        t(f"features.column_{name}"),
        help=t(f"features.column_{name}_help"),
        format=format,
        width=80,
    )
    opening_dataframe(
        explored.rows(features, **{name: values}),
        key=key,
        features=features,
        column_config=feature_columns(**{name: column}),
        column_order=["feature", name, "label", "top_tokens"],
        height="content",
    )
