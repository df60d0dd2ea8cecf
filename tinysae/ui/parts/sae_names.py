"""What the pages call an SAE whose features can be looked at, and the list of them."""

from collections.abc import Callable, Mapping
from typing import Literal

import streamlit as st

from tinysae.library.feature_source import FeatureSource
from tinysae.library.shipped import STORYBOOK_POST
from tinysae.render.numbers import moment
from tinysae.ui.shell.i18n import t


def source_label(source: FeatureSource) -> str:
    """What people call a source, and when it was made (untrusted text)."""
    if source.is_embedded:
        return embedded_label(source)
    label = f"{source.name} · {moment(source.created_at)}"
    if source.readiness == "ready":
        return label
    step = f"{source.step:,}" if source.step is not None else ""
    return f"{label} · {t(f'features.state_{source.readiness}', step=step)}"


def embedded_label(source: FeatureSource) -> str:
    """What people call an SAE that came with tinysae."""
    is_post = source.id == STORYBOOK_POST
    return t("features.embedded_post" if is_post else "features.embedded")


def show_list(
    label: str,
    labels: Mapping[str, str],
    shown: str,
    *,
    key: str,
    on_choice: Callable[[str], None],
    placeholder: str | None = None,
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """A list of what the address may name, with what it does name chosen; `on_choice`
    hears of another choice."""
    st.session_state[key] = shown if shown in labels else None

    def choose() -> None:
        # A page that was drawn half may be told again what it shows.
        if st.session_state[key] != shown:
            on_choice(st.session_state[key])

    st.selectbox(
        label,
        list(labels),
        format_func=labels.__getitem__,
        key=key,
        placeholder=placeholder,
        width=width,
        on_change=choose,
    )
