"""The widget of one setting of a run, as its kind and its bounds have it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from tinysae.config import choices, settings
from tinysae.ui.shell.i18n import language


def setting_field(
    name: str,
    value: Any,
    key: str,
    *,
    high: float | None = None,
    on_change: Callable[[], None] | None = None,
) -> Any:
    """What is chosen for the setting `name` of `TrainConfig`.

    Args:
        name: the field's.
        value: chosen at first; its type says which widget it is.
        key: the widget's.
        high: the largest number here, where that is less than anywhere.
        on_change: called when somebody has typed another number.
    """
    setting = settings()[name]
    label, note = setting.label(language()), setting.help(language())
    if accepted := choices(name):
        index = accepted.index(value)
        return st.selectbox(label, accepted, index=index, key=key, help=note)
    if isinstance(value, bool):
        return st.checkbox(label, value, key=key, help=note)
    if isinstance(value, str):
        return st.text_input(label, value, key=key, help=note)
    kind = type(value)
    high = setting.high if high is None else high
    return st.number_input(
        label,
        value=value,
        min_value=kind(setting.low) if setting.low is not None else None,
        max_value=kind(high) if high is not None else None,
        step=1 if kind is int else None,
        format=None if kind is int else "%g",
        key=key,
        help=note,
        on_change=on_change,
    )
