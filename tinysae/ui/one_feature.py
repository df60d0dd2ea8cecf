"""What the features page shows of one feature, piece by piece."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tinysae.numbers import percent, signed
from tinysae.texts import visible
from tinysae.ui import charts
from tinysae.ui.i18n import t
from tinysae.ui.page import plain
from tinysae.ui.tokens import StripToken, token_strip

if TYPE_CHECKING:
    from tinysae.features.reader import FeatureIndex
    from tinysae.features.records import (
        Context,
        FeatureRecord,
        LogitKind,
        TokenLogit,
    )

# Tokens shown on either side of the strongest.
RADIUS = 20


def show_figures(record: "FeatureRecord", index: "FeatureIndex") -> None:
    """The feature's name and its figures, each with its formula."""
    st.header(t("features.one", feature=record.feature), anchor=False)
    if record.is_dead:
        st.info(t("features.dead"))
        return
    n_tokens, n_fired = f"{index.info.n_tokens:,}", f"{record.n_fired:,}"
    values = {
        "density": percent(record.density),
        "max_act": f"{record.max_act:.2f}",
        "mean_act": f"{record.mean_act:.2f}",
        "n_fired": n_fired,
    }
    with st.container(horizontal=True):
        for name, value in values.items():
            formula = t(f"features.{name}_help", n_fired=n_fired, n_tokens=n_tokens)
            st.metric(t(f"features.{name}"), value, help=plain(formula), width=165)


def show_firing(record: "FeatureRecord") -> None:
    """On which tokens the feature fires, and how strongly."""
    tokens, histogram = st.columns(2, gap="large")
    with tokens:
        st.subheader(t("features.fires_on"), anchor=False)
        st.dataframe(
            pd.DataFrame(
                {
                    "token": [visible(token.text) for token in record.tokens],
                    "mass_share": [token.mass_share for token in record.tokens],
                    "precision": [token.precision for token in record.tokens],
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
    with histogram:
        st.subheader(t("features.histogram"), anchor=False)
        st.caption(t("features.histogram_how"))
        edges, counts = record.histogram
        figure = charts.histogram(
            edges.tolist(),
            counts.tolist(),
            x_title=t("features.activation"),
            y_title=t("features.n_fired"),
            log_y=True,
        )
        charts.show(figure, key="features.histogram")


def show_logits(record: "FeatureRecord") -> None:
    """The tokens the feature pushes towards and away from, drawn and listed."""
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
    promoted, suppressed = record.promoted[kind], record.suppressed[kind]
    # The most extreme at both ends, as on a thermometer.
    bars = [*promoted, *reversed(suppressed)]
    drawn, listed = st.columns([3, 2], gap="large")
    with drawn:
        figure = charts.bar_chart(
            [visible(token.text) for token in bars],
            [token.logit for token in bars],
            x_title=t("features.logit"),
        )
        charts.show(figure, key="features.logits")
    with listed:
        for name, tokens in (("promoted", promoted), ("suppressed", suppressed)):
            st.markdown(f"**{t(f'features.{name}')}**")
            st.dataframe(_logit_table(tokens), hide_index=True, row_height=28)


def _logit_table(tokens: Sequence["TokenLogit"]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            t("features.token"): [visible(token.text) for token in tokens],
            t("features.logit"): [signed(token.logit, 3) for token in tokens],
        }
    )


def show_contexts(record: "FeatureRecord") -> None:
    """The passages in which the feature is strongest, as strips of tokens."""
    st.subheader(t("features.contexts"), anchor=False)
    st.caption(t("features.contexts_how", n=len(record.contexts)))
    is_whole = st.toggle(
        t("features.whole"), key="features.whole", persist_state="page"
    )
    for rank, context in enumerate(record.contexts):
        part = context if is_whole else context.window(RADIUS)
        label = t(
            "features.strip",
            rank=rank + 1,
            value=f"{part.activations[part.position]:.2f}",
        )
        with st.container(gap="xxsmall"):
            st.caption(label)
            token_strip(
                _strip_tokens(part, record.max_act),
                key=f"features.context_{rank}",
                scale="sequential",
                low=0.0,
                high=record.max_act,
                legend=None,
            )


def _strip_tokens(context: "Context", max_act: float) -> list[StripToken]:
    strongest = t("features.of_strongest")
    label = t("features.activation")
    return [
        StripToken(
            text,
            value if value > 0 else None,
            [(label, f"{value:.2f}"), (strongest, f"{value / max_act:.1%}")]
            if value > 0
            else [(label, "0")],
            highlighted=place == context.position,
        )
        for place, (text, value) in enumerate(
            zip(context.texts, context.activations.tolist(), strict=True)
        )
    ]


def show_about(index: "FeatureIndex") -> None:
    """How the figures came about."""
    info = index.info
    with st.expander(t("features.about")):
        st.markdown(
            plain(
                t(
                    "features.about_text",
                    model=info.model,
                    hook=info.hook_name,
                    n_chunks=f"{info.n_chunks:,}",
                    context_size=f"{info.context_size:,}",
                    n_tokens=f"{info.n_tokens:,}",
                )
            )
        )
        if not info.token_sums_exact:
            st.markdown(plain(t("features.about_sums")))
