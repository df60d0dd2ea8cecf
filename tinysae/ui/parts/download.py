"""A button for a file that is made when it is asked for."""

import threading
from collections.abc import Callable
from itertools import cycle

import streamlit as st
from streamlit import runtime

# From the file's being made until its reader's browser has asked for it: a moment, and
# on a slow line some more.
KEPT_S = 60
# And no more than so many at once, however many readers press.
MOST_KEPT = 16

_places = cycle(map(str, range(MOST_KEPT)))
_lock = threading.Lock()
_release: threading.Timer | None = None


def download_button(
    label: str,
    made: Callable[[], bytes],
    file_name: str,
    mime: str,
    *,
    key: str,
    icon: str | None = None,
    help: str | None = None,
    disabled: bool = False,
) -> None:
    """`st.download_button` for what `made` returns when it is pressed."""
    st.download_button(
        label,
        lambda: kept(made(), file_name, mime),
        file_name,
        mime,
        key=key,
        icon=icon,
        help=help,
        disabled=disabled,
        on_click="ignore",
    )


def kept(content: bytes, file_name: str, mime: str) -> bytes:
    """`content`, which Streamlit will store once it is returned, kept for `KEPT_S` or
    until `MOST_KEPT` others are made.

    What is made at a press belongs to no session there, and is taken away when two
    scripts have ended since, whoever's they are: among many readers, or while a page
    goes on drawing, before the browser has asked for it.
    """
    global _release
    if not runtime.exists():
        return content
    files = runtime.get_instance().media_file_mgr
    # Outside a script, as in the timer's thread, a file's session is nobody's.
    files.add(content, mime, next(_places), file_name, is_for_static_download=True)
    with _lock:
        if _release is not None:
            _release.cancel()
        _release = threading.Timer(KEPT_S, files.clear_session_refs)
        _release.daemon = True
        _release.start()
    return content
