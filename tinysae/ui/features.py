"""What the features page shows around a feature: whose it is, and all the others.

The address says what is shown (`?run=...&feature=...`), and nothing else does: every
choice changes the address, so that links, Back and a reload all work.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from tinysae.errors import InputError
from tinysae.features.sources import (
    FeatureSource,
    default_source,
    feature_source,
    feature_sources,
)
from tinysae.numbers import signed
from tinysae.texts import visible
from tinysae.ui.i18n import t
from tinysae.ui.page import page_link, plain
from tinysae.ui.sources import source_label

if TYPE_CHECKING:
    from tinysae.features.reader import FeatureIndex

N_SIDE_BY_SIDE = 10
MAX_SEED = 2**31 - 1


def go(*, run: str | None = None, feature: int | None = None) -> None:
    """Change the address: the same run unless `run` is given, and this feature."""
    parameters = st.query_params.to_dict()
    if run is not None:
        parameters["run"] = run
    parameters.pop("feature", None)
    if feature is not None:
        parameters["feature"] = str(feature)
    # At once: each change by itself would be a step of its own for Back.
    st.query_params.from_dict(parameters)


def choose_source() -> FeatureSource:
    """The SAE of the link, else the newest finished run's, else the embedded one.

    Raises:
        InputError, MissingError, DamagedError: the link's run cannot be opened; the
            list to choose another from is drawn all the same.
    """
    found = feature_sources()
    sources = {source.id: source for source in found}
    shown = st.query_params.get("run") or default_source(found).id
    labels = {source.id: source_label(source) for source in found}
    key = "features.run"
    st.session_state[key] = shown if shown in sources else None
    st.selectbox(
        t("features.choose_run"),
        list(sources),
        format_func=labels.__getitem__,
        key=key,
        placeholder=t("features.choose_run_placeholder"),
        on_change=lambda: go(run=st.session_state[key]),
    )
    return sources.get(shown) or feature_source(shown)


def show_why_not(source: FeatureSource) -> None:
    """Say why a source has no features to look at, and what to do about it."""
    with st.container(border=True):
        why = t(f"features.why_{source.readiness}", name=source.name, id=source.id)
        st.markdown(plain(why))
        page_link("train", t("features.to_training"), run=source.id)


def linked_feature(index: "FeatureIndex") -> int | None:
    """The link's feature; None when it names none.

    Raises:
        InputError: it is not a number, or not one of this SAE's.
    """
    linked = st.query_params.get("feature")
    if not linked:
        return None
    # `isdecimal` is true of other scripts' digits as well, which `int` reads.
    if linked.isdecimal() and len(linked) < 10 and int(linked) < index.info.d_sae:
        return int(linked)
    raise InputError("features_unknown", feature=linked[:40], last=index.info.d_sae - 1)


def show_steps(feature: int | None, index: "FeatureIndex", live: Sequence[int]) -> None:
    """The ways to other features: all, previous, a number, next, a random one."""
    last = index.info.d_sae - 1
    key = "features.number"
    st.session_state[key] = feature
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if feature is not None:
            st.button(t("features.all"), icon=":material/apps:", on_click=go)
            st.button(
                t("features.previous"),
                icon=":material/chevron_left:",
                disabled=feature == 0,
                on_click=go,
                kwargs={"feature": feature - 1},
            )
        st.number_input(
            t("features.number"),
            min_value=0,
            max_value=last,
            step=1,
            value=None,
            placeholder=f"0 – {last}",
            key=key,
            help=t("features.number_help", last=last),
            width=160,
            on_change=lambda: go(feature=st.session_state[key]),
        )
        if feature is not None:
            st.button(
                t("features.next"),
                icon=":material/chevron_right:",
                icon_position="right",
                disabled=feature == last,
                on_click=go,
                kwargs={"feature": feature + 1},
            )
        st.button(
            t("features.random"),
            icon=":material/casino:",
            help=t("features.random_help"),
            disabled=not len(live),
            on_click=lambda: go(feature=int(np.random.default_rng().choice(live))),
        )


def show_summary(index: "FeatureIndex", live: Sequence[int]) -> None:
    """How many features there are and how many never fired."""
    info = index.info
    st.markdown(
        t(
            "features.summary",
            d_sae=f"{info.d_sae:,}",
            n_dead=f"{info.d_sae - len(live):,}",
            n_tokens=f"{info.n_tokens:,}",
        )
    )


def show_table(table: pd.DataFrame) -> None:
    """All features; a click on a cell opens its feature.

    table: from `ui.cache.feature_table`; a row's place is its feature's number.
    """
    st.subheader(t("features.all"), anchor=False)
    st.caption(t("features.table_how"))
    columns = ("feature", "density", "max_act", "top_tokens", "promoted")
    # In pixels: side by side they fill the page's width.
    config = {
        "feature": st.column_config.NumberColumn(width=70, pinned=True),
        "density": st.column_config.NumberColumn(
            format="percent", help=t("features.column_density_help"), width=90
        ),
        "max_act": st.column_config.NumberColumn(format="%.2f", width=90),
        "top_tokens": st.column_config.ListColumn(
            help=t("features.column_top_tokens_help"), width=275
        ),
        "promoted": st.column_config.ListColumn(
            help=t("features.column_promoted_help"), width=275
        ),
    }
    for name in columns:
        config[name]["label"] = t(f"features.column_{name}")
    _opening_dataframe(
        table,
        key="features.table",
        features=range(len(table)),
        column_order=columns,
        column_config=config,
        height=460,
    )


def show_side_by_side(index: "FeatureIndex", live: Sequence[int]) -> None:
    """The tokens that ten random features promote, a column a feature."""
    st.subheader(t("features.ten"), anchor=False)
    st.caption(t("features.ten_how"))
    key = "features.seed"
    st.session_state.setdefault(key, 0)

    def another() -> None:
        st.session_state[key] = (_seed() + 1) % MAX_SEED

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            t("features.seed"),
            min_value=0,
            max_value=MAX_SEED,
            step=1,
            key=key,
            help=t("features.seed_help"),
            width=160,
        )
        st.button(
            t("features.another_ten"), icon=":material/refresh:", on_click=another
        )
    n = min(N_SIDE_BY_SIDE, len(live))
    chosen = np.random.default_rng(_seed()).choice(live, n, replace=False).tolist()
    promoted = index.promoted(chosen)
    cells = {
        str(feature): [
            f"{visible(token.text)}  {signed(token.logit)}" for token in tokens
        ]
        for feature, tokens in promoted.items()
    }
    rows = pd.RangeIndex(1, 1 + max(map(len, cells.values()), default=0))
    _opening_dataframe(
        pd.DataFrame(cells, index=rows.rename(t("features.rank"))),
        key="features.ten",
        columns={str(feature): feature for feature in chosen},
    )


def _seed() -> int:
    # The widget's bounds are the browser's; a forged value is brought into them.
    value = st.session_state.get("features.seed") or 0
    return min(max(int(value), 0), MAX_SEED)


def _opening_dataframe(
    data: pd.DataFrame,
    *,
    key: str,
    features: Sequence[int] | None = None,
    columns: dict[str, int] | None = None,
    **options: Any,
) -> None:
    """A dataframe in which a click on a cell opens a feature.

    `features` says which one by row, `columns` by column.
    """

    def open_clicked() -> None:
        for row, column in st.session_state[key].selection.cells:
            if columns is not None and column in columns:
                go(feature=columns[column])
            if features is not None and 0 <= row < len(features):
                go(feature=features[row])

    st.dataframe(
        data,
        key=key,
        on_select=open_clicked,
        selection_mode="single-cell",
        hide_index=features is not None,
        **options,
    )
