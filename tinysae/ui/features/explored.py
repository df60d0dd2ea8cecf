"""The SAE that is looked at: what every part of the features page reads from.

The address says what is shown (`?run=...&feature=...`, a search in `q` and `by`, a
`theme`, an order in `sort`, a `view`), and nothing else does: every choice changes it,
so that links, Back and a reload all work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from tinysae.features.names.labels import Label
from tinysae.features.names.notes import Note, Notes
from tinysae.features.names.theme_file import Theme, Themes, theme_name
from tinysae.library.feature_source import FeatureSource
from tinysae.render.visible import shortened
from tinysae.ui.parts.sae_names import embedded_label
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import shown_errors

if TYPE_CHECKING:
    from tinysae.features.index.reader import FeatureIndex


def go(**changes: str | int | None) -> None:
    """Change what the address says: `go(feature=3)`; None takes it out.

    At once: each change by itself would be a step of its own for Back.
    """
    parameters = st.query_params.to_dict() | {
        name: str(value) for name, value in changes.items() if value is not None
    }
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
    st.query_params.from_dict(parameters)


def read_theme(theme: Theme | None, feature: int | None = None) -> None:
    """List the features of a theme, or all of them again."""
    key = None if theme is None else theme.key
    go(theme=key, q=None, by=None, token=None, feature=feature)


@dataclass(frozen=True)
class Explored:
    """An open source. Everything that is costly is cached for all sessions."""

    source: FeatureSource
    index: "FeatureIndex"

    @classmethod
    def open(cls, source: FeatureSource) -> "Explored":
        """
        Raises:
            MissingError, DamagedError: from `FeatureSource.open`.
        """
        return cls(source, cache.feature_index(source))

    @cached_property
    def table(self) -> pd.DataFrame:
        """`cache.feature_table`; shared, so do not change it."""
        return cache.feature_table(self.source)

    @cached_property
    def labels(self) -> list[Label]:
        """A label a feature; none when nobody has labelled them, nor when what is
        wrong with the labels has been said: the features are there without them."""
        with shown_errors():
            return cache.feature_labels(self.source)
        return []

    @cached_property
    def label_texts(self) -> list[str]:
        """A sentence a feature in the reader's language; none without labels."""
        return cache.label_texts(self.source, language()) if self.labels else []

    @cached_property
    def themes(self) -> Themes:
        """What the features are grouped by; none where they are not, nor when what is
        wrong with them has been said."""
        with shown_errors():
            return cache.feature_themes(self.source)
        return Themes()

    def theme_name(self, feature: int) -> str | None:
        """What the theme of a feature is called; "" where it has none, None where no
        feature has."""
        if not self.themes.themes:
            return None
        theme = self.themes.theme(feature)
        return "" if theme is None else theme_name(theme, language())

    @property
    def linked_theme(self) -> Theme | None:
        """The theme that the address names, if there is such a one."""
        key = st.query_params.get("theme")
        return next((each for each in self.themes.themes if each.key == key), None)

    def has(self, feature: int) -> bool:
        """Whether there is such a feature."""
        return 0 <= feature < self.index.info.d_sae

    @cached_property
    def live(self) -> list[int]:
        """The features that fired at least once."""
        return np.flatnonzero(self.table["n_fired"]).tolist()

    @cached_property
    def notes(self) -> Notes:
        return Notes(self.index.info.sae_fingerprint, self.index.info.d_sae)

    @cached_property
    def kept(self) -> dict[int, Note]:
        """What the reader keeps about its features.

        Raises:
            DamagedError: the file cannot be read.
        """
        return self.notes.all()

    def forget_kept(self) -> None:
        """What was kept since the page ran is read afresh; nothing else, so that
        what is wrong with the labels is said once."""
        self.__dict__.pop("kept", None)

    @property
    def is_final(self) -> bool:
        """Whether it stays as it is: notes on an SAE that still learns would be of
        features that are soon others."""
        return self.source.readiness != "live"

    @property
    def name(self) -> str:
        """What it is called in a saved file (untrusted text)."""
        source = self.source
        return embedded_label(source) if source.is_embedded else source.name

    def rows(self, features: Sequence[int], **columns: Sequence[Any]) -> pd.DataFrame:
        """A row for each of `features`: its number, `columns`, label, top tokens; cut
        between words to what a cell has room for."""
        data: dict[str, Any] = {"feature": list(features), **columns}
        if self.labels:
            data["label"] = [
                shortened(self.label_texts[feature], _LETTERS["label"])
                for feature in features
            ]
        chosen = self.table.iloc[list(features)]
        for name in ("top_tokens", "promoted"):
            data[name] = [
                shortened(" · ".join(map(_word, tokens)), _LETTERS[name])
                for tokens in chosen[name]
            ]
        return pd.DataFrame(data)


def _word(token: str) -> str:
    """A visible token without the mark for the space before it."""
    return token.removeprefix("␣") or token


# In pixels: side by side they fill the page's width; and the letters that fit.
_WIDTHS = {"feature": 80, "label": 320, "top_tokens": 250, "promoted": 250}
_LETTERS = {"label": 44, "top_tokens": 34, "promoted": 34}


def feature_columns(**more: Any) -> dict[str, Any]:
    """How the columns of `Explored.rows` are shown; `more` are of one's own."""
    config: dict[str, Any] = {
        "feature": st.column_config.NumberColumn(
            t("features.column_feature"), width=_WIDTHS["feature"], pinned=True
        ),
        "label": st.column_config.TextColumn(
            t("features.column_label"), width=_WIDTHS["label"]
        ),
        "density": st.column_config.NumberColumn(
            t("features.column_density"),
            format="percent",
            help=t("features.column_density_help"),
            width=90,
        ),
        "max_act": st.column_config.NumberColumn(
            t("features.column_max_act"), format="%.2f", width=90
        ),
    }
    for name in ("top_tokens", "promoted"):
        config[name] = st.column_config.TextColumn(
            t(f"features.column_{name}"),
            help=t(f"features.column_{name}_help"),
            width=_WIDTHS[name],
        )
    return config | more


def opening_dataframe(
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
