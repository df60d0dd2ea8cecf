"""One of a few, side by side."""

from collections.abc import Mapping
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def one_of(
    label: str,
    names: Mapping[T, str],
    default: Any = None,
    *,
    key: str,
    **look: Any,
) -> T:
    """What the reader chose of `names`, at first `default`; a forged message chooses
    nothing.

    Args:
        label: what is chosen.
        names: what there is to choose -> its name.
        default: one of them; by default what the session has under `key`.
        look: of `st.segmented_control`.
    """
    chosen: Any = st.segmented_control(
        label,
        list(names),
        format_func=names.__getitem__,
        default=default,
        required=True,
        key=key,
        **look,
    )
    return chosen if chosen in names else default or next(iter(names))
