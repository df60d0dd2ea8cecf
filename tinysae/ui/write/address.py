"""What the reader chose, kept over a change of page and in the page's address."""

from collections import deque
from dataclasses import replace
from urllib.parse import urlsplit

import streamlit as st

from tinysae.errors import InputError
from tinysae.model.sources import STORYBOOK, is_only_here
from tinysae.model.text.state import UNNAMED, State, packed, unpacked
from tinysae.ui.shell.choice import MODEL, RUN, carried, choose
from tinysae.ui.shell.i18n import language, link_parameters, t
from tinysae.ui.shell.page import plain, run_script

# What outlives a change of page: the widgets' own keys do not.
STATE = "playground.state"
# The links that this session has opened or put into its address, the newest last.
_OWN = "playground.own_links"
MOST_OWN = 100
PARAMETER = "play"


def opened_state() -> State:
    """What this session left here, else what its link says, else the beginning.

    A link that cannot be read is said to be so, and everything else stays as it is.
    """
    linked = st.query_params.get(PARAMETER)
    own = st.session_state.setdefault(_OWN, deque(maxlen=MOST_OWN))
    # The address may lag behind what was chosen since.
    if linked and linked not in own:
        own.append(linked)
        try:
            state = unpacked(linked)
            st.session_state[STATE] = state
            # The chooser in the sidebar says which model; a link names its own.
            is_named = state.model not in (STORYBOOK, UNNAMED)
            if is_named and not {RUN, MODEL} & set(st.query_params):
                choose(model=state.model)
        except InputError as problem:
            st.warning(plain(problem.in_language(language())))
    default = State(
        prompt=t("playground.prompt_default"),
        other=t("playground.other_default"),
        colour="surprise",
        # What the model does expect after that prompt.
        answers=" She",
    )
    return st.session_state.get(STATE, default)


def of_model(state: State, model: str) -> State:
    """`state` with another `model`, which has written nothing yet, unless it is the one
    that a link could not name."""
    is_it = state.model == UNNAMED and is_only_here(model)
    return replace(state, model=model, is_written=state.is_written and is_it)


def keep_state(state: State) -> None:
    """Remember `state` for when the reader comes back to this page."""
    st.session_state[STATE] = state


def show_in_address(state: State) -> None:
    """Put `state` into the address, so that a reload finds it again; one that is too
    long for a link is not there.

    Not by `st.query_params`: each letter would be a step of its own for Back.
    """
    try:
        link = packed(state)
    except InputError:
        link = ""
    own = st.session_state.setdefault(_OWN, deque(maxlen=MOST_OWN))
    if link not in own:
        own.append(link)
    run_script("address", _SCRIPT.format(parameter=PARAMETER, link=link))


# A link has letters, digits, "-" and "_" only.
_SCRIPT = """
  if (location.pathname.endsWith("/playground")) {{
    const address = new URL(location.href);
    if ("{link}") address.searchParams.set("{parameter}", "{link}");
    else address.searchParams.delete("{parameter}");
    history.replaceState(history.state, "", address);
  }}
"""


def link_to(state: State) -> str:
    """The address of the page as it is.

    Raises:
        InputError: its texts are too long for a link.
    """
    here = urlsplit(st.context.url or "")
    along = {**(carried() if is_only_here(state.model) else {}), **link_parameters()}
    others = "".join(f"&{name}={value}" for name, value in along.items())
    base = f"{here.scheme}://{here.netloc}{here.path}" if here.netloc else ""
    return f"{base}?{PARAMETER}={packed(state)}{others}"
