"""The list read by theme: the themes in one line, the features of the chosen one."""

import streamlit as st

from tinysae.data.storybook.words import KINDS
from tinysae.features.names.labels import SURE_FROM, Label, sureness
from tinysae.features.names.theme_file import theme_name
from tinysae.ui.features.browse import Listing
from tinysae.ui.features.explored import Explored, read_theme
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain

_THEME = "features.theme"


def of_theme(explored: Explored, everything: Listing) -> Listing:
    """Those of the theme that the address names, in the order of all."""
    theme = explored.linked_theme
    if theme is None:
        return everything
    members = set(explored.themes.members[explored.themes.themes.index(theme)])
    features = [feature for feature in everything.features if feature in members]
    n_sure = sum(is_sure(explored.labels[each]) for each in members if explored.labels)
    said = t(
        "features.listed_theme",
        n=f"{len(features):,}",
        theme=theme_name(theme, language()),
        named=f"{n_sure:,}",
    )
    return Listing(features, said=said)


def is_sure(label: Label) -> bool:
    """Whether its name can be trusted."""
    return sureness(label) == len(SURE_FROM)


def choose_theme(explored: Explored) -> None:
    """The themes in one line, names and animals before commas; a second click shows all
    again."""
    order = {kind: at for at, kind in enumerate(KINDS)}
    told = sorted(
        explored.themes.themes, key=lambda theme: order.get(theme.key, len(order))
    )
    themes = {theme.key: theme for theme in told}
    if not themes:
        return
    linked = explored.linked_theme
    st.session_state[_THEME] = None if linked is None else linked.key

    def chosen() -> None:
        key = st.session_state[_THEME]
        read_theme(None if key is None else themes[key])

    st.pills(
        t("features.themes"),
        list(themes),
        format_func=lambda key: plain(theme_name(themes[key], language())),
        key=_THEME,
        label_visibility="collapsed",
        wrap=False,
        width="stretch",
        on_change=chosen,
    )
