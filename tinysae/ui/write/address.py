"""What the reader chose, kept over a change of page and in the page's address."""

from urllib.parse import urlsplit

import streamlit as st

from tinysae.errors import InputError
from tinysae.model.text.state import State, packed, unpacked
from tinysae.ui.shell.i18n import language, link_parameters, t
from tinysae.ui.shell.page import plain

# What outlives a change of page: the widgets' own keys do not.
STATE = "playground.state"
_READ = "playground.link_read"
PARAMETER = "play"


def opened_state() -> State:
    """What this session left here, else what its link says, else the beginning.

    A link that cannot be read is said to be so, and everything else stays as it is.
    """
    linked = st.query_params.get(PARAMETER)
    if linked and st.session_state.get(_READ) != linked:
        st.session_state[_READ] = linked
        try:
            st.session_state[STATE] = unpacked(linked)
        except InputError as problem:
            st.warning(plain(problem.in_language(language())))
    default = State(
        prompt=t("playground.prompt_default"), other=t("playground.other_default")
    )
    return st.session_state.get(STATE, default)


def keep_state(state: State) -> None:
    """Remember `state` for when the reader comes back to this page."""
    st.session_state[STATE] = state


def link_to(state: State) -> str:
    """The address of the page as it is.

    Raises:
        InputError: its texts are too long for a link.
    """
    here = urlsplit(st.context.url or "")
    language_part = "".join(f"&lang={value}" for value in link_parameters().values())
    base = f"{here.scheme}://{here.netloc}{here.path}" if here.netloc else ""
    return f"{base}?{PARAMETER}={packed(state)}{language_part}"
