"""Which model and which SAE the reader has chosen: once, for every page.

Kept for the session, and in the address as `run` (an SAE: a run's id, a shipped one's
or one from elsewhere) and `model` (a name of the hub's; a link must not make a page
open a path). What the address says counts more: it is what Back and a pasted link mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

RUN, MODEL = "run", "model"
# Streamlit drops a widget's own key when the page changes; this is no widget's.
_KEPT = "shell.choice"


@dataclass(frozen=True)
class Choice:
    """What was chosen; None where nobody has chosen.

    Attributes:
        run: what links call the SAE.
        model: the source of a model (`model.sources`), where no SAE says which.
    """

    run: str | None = None
    model: str | None = None


def choice() -> Choice:
    """What the address says, else what this session chose before."""
    kept = st.session_state.get(_KEPT, Choice())
    run, model = st.query_params.get(RUN), st.query_params.get(MODEL)
    if run and run != kept.run:
        kept = Choice(run=run)
    elif not run and model and model != kept.model and _is_name(model):
        kept = Choice(model=model)
    st.session_state[_KEPT] = kept
    return kept


def choose(*, run: str | None = None, model: str | None = None) -> None:
    """Another SAE or another model, from here on and in the address; for callbacks.

    What the address said of the one before, its feature or a search, goes. A model that
    is a path stays out of the address.
    """
    st.session_state[_KEPT] = Choice(run=run, model=model)
    said = {"lang": st.query_params.get("lang"), **carried()}
    st.query_params.from_dict({name: value for name, value in said.items() if value})


def carried() -> Mapping[str, str]:
    """What a link to another page says of it."""
    kept = st.session_state.get(_KEPT, Choice())
    if kept.run:
        return {RUN: kept.run}
    return {MODEL: kept.model} if kept.model and _is_name(kept.model) else {}


def _is_name(model: str) -> bool:
    from tinysae.model.names import hub_name

    return hub_name(model) is not None
