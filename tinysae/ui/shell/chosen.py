"""The chooser at the top of the sidebar: whose insides every page looks at.

    here = chosen("features")
    here.model, here.source

Call it below the page's title: it imports numpy, and the title waits for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.library.feature_source import (
    FeatureSource,
    default_source,
    feature_source,
    feature_sources,
)
from tinysae.library.shipped import STORYBOOK_POST
from tinysae.model.sources import STORYBOOK
from tinysae.ui.parts.left_out import show_left_out
from tinysae.ui.parts.model_chooser import show_models
from tinysae.ui.parts.sae_names import source_label
from tinysae.ui.shell.choice import (
    RUN,
    Choice,
    choice,
    choose,
    is_unknown_path,
)
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import Page, note, page_link, plain, sidebar_place

__all__ = ["Chosen", "choose", "chosen"]

# Pages that show an SAE that is still being made; the others read its features.
_SHOW_UNFINISHED: Final[frozenset[Page]] = frozenset(
    {"train", "experiments", "features"}
)
_MODEL, _SAE = "shell.model", "shell.sae"


@dataclass(frozen=True)
class Chosen:
    """Whose insides are looked at.

    Attributes:
        model: its source (`model.sources`); `is_at_hand` says whether it is here.
        source: the SAE; None while the model has none.
    """

    model: str
    source: FeatureSource | None


def chosen(page: Page) -> Chosen:
    """Draw the chooser in the sidebar, and say what is chosen.

    An SAE of the address that cannot be opened is told in a sentence, and the page goes
    on with what there is.
    """
    wanted = choice()
    if page == "why" and wanted.is_passing and RUN not in st.query_params:
        wanted = Choice()
    if is_unknown_path():
        st.warning(t("models.path_unknown"))
    found = feature_sources()
    linked = _linked(wanted, found)
    model = linked.model if linked is not None else (wanted.model or STORYBOOK)
    of_model = [source for source in found if source.model == model]
    source = linked
    if source is None or (page not in _SHOW_UNFINISHED and not source.is_open):
        source = _default(page, of_model)
    with sidebar_place():
        show_models(
            model,
            key=_MODEL,
            on_choice=lambda typed: choose(model=typed),
            own=[source.model for source in found],
        )
        _choose_sae(source, of_model)
        show_left_out(found.unreadable)
    return Chosen(model, source)


def _linked(wanted: Choice, found: Sequence[FeatureSource]) -> FeatureSource | None:
    if wanted.run is None:
        return None
    for source in found:
        if source.id == wanted.run:
            return source
    try:
        return feature_source(wanted.run)
    except TinysaeError as error:
        st.error(plain(error.in_language(language())))
        return None


def _default(page: Page, of_model: list[FeatureSource]) -> FeatureSource | None:
    """The newest finished run's, else a shipped one. Inside takes that of the block's
    output, whose features add to the logits directly."""
    ready = [source for source in of_model if source.readiness == "ready"]
    if page == "why":
        ready.sort(key=lambda source: source.id != STORYBOOK_POST)
    return default_source(ready) if ready else next(iter(of_model), None)


def _choose_sae(source: FeatureSource | None, of_model: list[FeatureSource]) -> None:
    if not of_model:
        note(t("common.no_sae"))
        page_link("train", t("common.no_sae_link"))
        return
    labels = {each.id: source_label(each) for each in of_model}
    if source is not None:
        labels.setdefault(source.id, source_label(source))
    st.session_state[_SAE] = source.id if source is not None else None
    st.selectbox(
        t("common.sae"),
        list(labels),
        format_func=labels.__getitem__,
        key=_SAE,
        placeholder=t("features.choose_run_placeholder"),
        help=t("common.sae_help"),
        on_change=lambda: choose(run=st.session_state[_SAE]),
    )
