"""Which model and which SAE the reader has chosen: once, for every page.

Kept for the session, and in the address as `run` (an SAE: a run's id, a shipped one's
or one from elsewhere) and `model`: a name of the hub's, or a mark for a path that
somebody here has chosen before, so that a reload finds it again and no link makes a
page open a path. What the address says counts more: it is what Back and a pasted link
mean.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from tinysae.library.shipped import STORYBOOK_SAE
from tinysae.model.sources import STORYBOOK, is_only_here

RUN, MODEL = "run", "model"
# The parameter of a link from a lesson's step to another page: "train.2".
WAY_BACK = "from"
# Streamlit drops a widget's own key when the page changes; this is no widget's.
_KEPT = "shell.choice"
# What a mark begins with, as no name of the hub does, and how many are known.
_MARK, _MARK_DIGITS, _MOST_PATHS = "~", 16, 1000


@dataclass(frozen=True)
class Choice:
    """What was chosen; None where nobody has chosen.

    Attributes:
        run: what links call the SAE.
        model: the source of a model (`model.sources`), where no SAE says which.
        is_picked: by the reader, in a list; not by a link to one of its features.
    """

    run: str | None = None
    model: str | None = None
    is_picked: bool = False

    @property
    def is_passing(self) -> bool:
        """The shipped SAE, by a link: no page need show it in place of its own."""
        return self.run == STORYBOOK_SAE and not self.is_picked


def choice() -> Choice:
    """What the address says, else what this session chose before."""
    kept = st.session_state.get(_KEPT, Choice())
    run, model = st.query_params.get(RUN), st.query_params.get(MODEL)
    if run and run != kept.run:
        kept = Choice(run=run)
    elif not run and model and (meant := _meant(model)) not in (None, kept.model):
        kept = Choice(model=meant)
    st.session_state[_KEPT] = kept
    return kept


def is_unknown_path() -> bool:
    """Whether the address means a model of this computer that nobody here has chosen
    since the server started."""
    model = st.query_params.get(MODEL) or ""
    return model.startswith(_MARK) and _meant(model) is None


def choose(*, run: str | None = None, model: str | None = None) -> None:
    """Another SAE or another model, from here on and in the address; for callbacks.

    What the address said of the one before, its feature or a search, goes; the way
    back to a lesson stays.
    """
    if model and is_only_here(model):
        remember_path(model)
    st.session_state[_KEPT] = Choice(run, model, is_picked=True)
    stays = {name: st.query_params.get(name) for name in ("lang", WAY_BACK)}
    said = {**stays, **carried()}
    st.query_params.from_dict({name: value for name, value in said.items() if value})


def carried(*, inside: bool = False) -> Mapping[str, str]:
    """What a link to another page says of it; `inside`: to the page Inside, whose own
    SAE explains more than the one in passing."""
    kept = st.session_state.get(_KEPT, Choice())
    if inside and kept.is_passing:
        return {}
    if kept.run:
        return {RUN: kept.run}
    if not kept.model or kept.model == STORYBOOK:
        return {}
    return {MODEL: _mark(kept.model) if is_only_here(kept.model) else kept.model}


def remember_path(path: str) -> str:
    """From here on an address may mean it; returns the mark that then does."""
    if len(_paths()) >= _MOST_PATHS:
        _paths().clear()
    _paths()[_mark(path)] = path
    return _mark(path)


def _meant(model: str) -> str | None:
    """What the address's `model` means; None where it may not or cannot be known."""
    return _paths().get(model) if is_only_here(model) else model


def _mark(path: str) -> str:
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_MARK}{digest[:_MARK_DIGITS]}"


@st.cache_resource(show_spinner=False)
def _paths() -> dict[str, str]:
    """Paths of models that were chosen here, by their marks."""
    return {}
