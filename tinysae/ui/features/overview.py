"""All features of an SAE at once: how often they fire, a map, a table, by concept."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from tinysae.checked_numbers import whole
from tinysae.features.index.search import concepts_of
from tinysae.features.names.concepts import FOUND_AT
from tinysae.features.names.labels import SURE_FROM, concept_name, sureness
from tinysae.features.names.notes import Note
from tinysae.features.names.theme_file import theme_name
from tinysae.library.text_read import about_index
from tinysae.render import svg
from tinysae.render.numbers import percent, signed
from tinysae.render.visible import visible
from tinysae.sae.evaluate import DENSE_ABOVE
from tinysae.ui.features import cached
from tinysae.ui.features.explored import (
    Explored,
    feature_columns,
    go,
    opening_dataframe,
)
from tinysae.ui.features.kept import show_kept
from tinysae.ui.parts.charts import feature_map
from tinysae.ui.parts.drawing import drawing
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain, shown_errors

N_SIDE_BY_SIDE = 10
# As high as the panel beside it.
MAP_PX, CONCEPTS_PX = 500, 520
N_THEMES_SAID = 5
MAX_SEED = 2**31 - 1
# Firing rates in tenths of a power of ten.
BINS_A_DECADE = 5
# Bounds of the table's density filter; no feature fires on more than all tokens.
DENSITIES = (0.0, 0.0001, 0.001, 0.01, 0.1, 1.0)


def show_overview(explored: Explored) -> None:
    """The SAE as a whole; a click on a feature leads to it, in the list."""
    rates, figures = st.columns([2, 3], gap="large")
    with rates:
        st.subheader(t("features.rates"), anchor=False)
        st.caption(t("features.rates_how"))
        density = explored.table["density"].to_numpy()
        drawing(density_chart(density[density > 0]), key="features.rates")
    with figures:
        show_summary(explored)
    # Ten columns take the whole width.
    show_side_by_side(explored)
    show_table(explored)
    if explored.is_final:
        show_kept(explored)


def show_summary(explored: Explored) -> None:
    """How many features there are, and how many never or nearly always fire."""
    info = explored.index.info
    density = explored.table["density"].to_numpy()
    n_dead = info.d_sae - len(explored.live)
    n_dense = int((density > DENSE_ABOVE).sum())
    with st.container(horizontal=True):
        for name, value, help_key in (
            ("n_features", f"{info.d_sae:,}", None),
            ("dead_share", f"{percent(n_dead / info.d_sae)} · {n_dead:,}", "dead_help"),
            (
                "dense_share",
                f"{percent(n_dense / info.d_sae)} · {n_dense:,}",
                "dense_help",
            ),
            *_explained(explored),
        ):
            help_text = help_key and t(
                f"features.{help_key}",
                n_tokens=f"{info.n_tokens:,}",
                above=percent(DENSE_ABOVE),
                sure=percent(SURE_FROM[-1]),
            )
            st.metric(t(f"features.{name}"), value, help=help_text, width=280)


def _explained(explored: Explored) -> list[tuple[str, str, str]]:
    """How much of the SAE its names explain, where they were scored."""
    scored = [explored.labels[at] for at in explored.live if at < len(explored.labels)]
    if not any(label.clauses for label in scored):
        return []
    n_sure = sum(sureness(label) == len(SURE_FROM) for label in scored)
    share = f"{percent(n_sure / len(scored))} · {n_sure:,}"
    return [("explained_share", share, "explained_help")]


def density_chart(density: NDArray[np.float64]) -> str:
    """A histogram of firing rates above zero, by their logarithms."""
    title = t("features.rates")
    if not len(density):
        return svg.histogram([-1.0, 0.0], [0], title=title, exponents=True)
    logs = np.log10(density)
    low = np.floor(logs.min() * BINS_A_DECADE) / BINS_A_DECADE
    n_bins = max(1, round(-low * BINS_A_DECADE))
    counts, edges = np.histogram(logs, bins=n_bins, range=(low, 0.0))
    return svg.histogram(edges.tolist(), counts.tolist(), title=title, exponents=True)


def show_map(explored: Explored, feature: int) -> None:
    """Where the features lie among each other, `feature` with a ring around it; a click
    chooses another."""
    st.caption(t("features.map_how"))
    points = cached.feature_points(explored.source, language())
    themes, theme = explored.themes.themes, explored.linked_theme
    alt = t("features.map_how")
    if themes:
        first = [theme_name(each, language()) for each in themes[:N_THEMES_SAID]]
        alt = f"{alt} {t('features.map_themes', themes=', '.join(first))}"
    feature_map(
        points,
        key="features.map",
        of=explored.source.id,
        alt=alt,
        on_click=lambda other: go(feature=other),
        chosen=feature,
        theme=None if theme is None else themes.index(theme),
        height=MAP_PX,
    )


def show_table(explored: Explored) -> None:
    """All features, or those that pass the filters; a click on a cell opens one."""
    st.subheader(t("features.all"), anchor=False)
    st.caption(t("features.table_how"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            t("features.filter"), key="features.filter", width=260, max_chars=80
        )
        low, high = st.select_slider(
            t("features.filter_density"),
            DENSITIES,
            (DENSITIES[0], DENSITIES[-1]),
            format_func=percent,
            key="features.filter_density",
            width=260,
        )
        only_kept = st.toggle(t("features.filter_kept"), key="features.filter_kept")
    kept: dict[int, Note] = {}
    with shown_errors():
        kept = explored.kept
    chosen = filtered(
        explored.table,
        explored.label_texts,
        words=words,
        density=(low, high),
        only=[f for f, note in kept.items() if note.bookmarked] if only_kept else None,
    )
    shown = explored.table.iloc[chosen]
    data = explored.rows(
        chosen,
        density=shown["density"].tolist(),
        max_act=shown["max_act"].tolist(),
    )
    if len(chosen) < len(explored.table):
        st.caption(
            t(
                "features.filter_count",
                n=f"{len(chosen):,}",
                total=f"{len(explored.table):,}",
            )
        )
    opening_dataframe(
        data,
        key="features.table",
        features=chosen,
        column_config=feature_columns(),
        height=460,
    )


def filtered(
    table: pd.DataFrame,
    labels: Sequence[str],
    *,
    words: str = "",
    density: tuple[float, float] = (0.0, 1.0),
    only: Sequence[int] | None = None,
) -> list[int]:
    """The features whose label or tokens have every one of `words`, that fire on a
    share of tokens within `density`, and that are among `only`."""
    own = table["density"].to_numpy()
    passes = (own >= density[0]) & (own <= density[1])
    if only is not None:
        passes &= np.isin(np.arange(len(table)), np.asarray(only, dtype=int))
    found = np.flatnonzero(passes).tolist()
    wanted = words.casefold().split()
    if not wanted:
        return found
    tokens = (table["top_tokens"] + table["promoted"]).map(" ".join)

    def has_all(feature: int) -> bool:
        label = labels[feature] if labels else ""
        text = f"{label} {tokens.iloc[feature]}".casefold()
        return all(word in text for word in wanted)

    return [feature for feature in found if has_all(feature)]


def show_concepts(explored: Explored) -> None:
    """The concepts that name a feature, those that are read best first; a click lists
    a concept's features."""
    counts = concepts_of(explored.labels)
    if not counts:
        st.info(t("features.concepts_none"))
        return
    with shown_errors():
        _show_found(explored)
    best = {
        concept: max(
            label.f1 or 0.0 for label in explored.labels if label.concept == concept
        )
        for concept in counts
    }
    concepts = sorted(counts, key=lambda concept: -best[concept])
    key = "features.concepts"

    def chosen() -> None:
        for row, _ in st.session_state[key].selection.cells:
            if 0 <= row < len(concepts):
                go(by="concept", q=concepts[row], view=None, feature=None, sort=None)

    st.dataframe(
        pd.DataFrame(
            {
                "concept": [concept_name(c, language()) for c in concepts],
                "features": [counts[c] for c in concepts],
                "f1": [best[c] for c in concepts],
            }
        ),
        key=key,
        on_select=chosen,
        selection_mode="single-cell",
        hide_index=True,
        height=CONCEPTS_PX,
        column_config={
            "concept": st.column_config.TextColumn(t("features.concept"), width=220),
            "features": st.column_config.NumberColumn(t("features.n_features")),
            "f1": st.column_config.ProgressColumn(
                t("features.column_f1"),
                help=t("features.column_f1_help"),
                format="%.2f",
                min_value=0.0,
                max_value=1.0,
            ),
        },
    )


def _show_found(explored: Explored) -> None:
    """The share of the concepts that features read well, if it was measured."""
    report = cache.concept_report(explored.source)
    if report is not None:
        found = t(
            "features.concepts_found",
            n=len(report.concepts),
            share=percent(report.found),
            single=percent(report.found_single),
            f1=FOUND_AT,
        )
        st.markdown(plain(found))


def show_side_by_side(explored: Explored) -> None:
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
    live = explored.live
    n = min(N_SIDE_BY_SIDE, len(live))
    chosen = np.random.default_rng(_seed()).choice(live, n, replace=False).tolist()
    promoted = explored.index.promoted(chosen)
    cells = {
        str(feature): [
            f"{visible(token.text)}  {signed(token.logit)}" for token in tokens
        ]
        for feature, tokens in promoted.items()
    }
    rows = pd.RangeIndex(1, 1 + max(map(len, cells.values()), default=0))
    opening_dataframe(
        pd.DataFrame(cells, index=rows.rename(t("features.rank"))),
        key="features.ten",
        columns={str(feature): feature for feature in chosen},
    )


def _seed() -> int:
    # The widget's bounds are the browser's; a forged value is brought into them.
    return min(whole(st.session_state.get("features.seed")) or 0, MAX_SEED)


def show_about(explored: Explored) -> None:
    """How the figures came about."""
    read = explored.source.text_read(explored.index.info)
    about = about_index(explored.index, read, language())
    with st.expander(t("features.about")):
        st.markdown(plain(about))
