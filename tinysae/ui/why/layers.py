"""SAEs of other places in the model, whose lamps the picture shows with the chosen
one's: one a hook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.jobs.files import read_json
from tinysae.library.feature_source import FeatureSource, feature_sources
from tinysae.sae.load import CFG_NAME
from tinysae.ui.parts.sae_names import source_label
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import more, note, plain

if TYPE_CHECKING:
    from tinysae.sae.load import SAE
    from tinysae.ui.why.ask import Question

_KEY = "why.layers"
# More rows of lamps are too high for a screen.
MAX_MORE = 3


def at_hand(question: Question) -> dict[str, FeatureSource]:
    """Hook -> whose features could be shown there: the question's own first, then the
    newest."""
    found = {question.sae.hook_name: question.source}
    for source in feature_sources():
        if source.model != question.source.model:
            continue
        hook = _hook_of(source)
        if hook in question.model.hooks:
            found.setdefault(hook, source)
    return found


def shown_beside(question: Question) -> dict[str, tuple[FeatureSource, SAE]]:
    """Hook -> an SAE that was chosen to be shown too."""
    others = at_hand(question)
    chosen = [name for name in st.session_state.get(_KEY, ()) if name in others]
    found: dict[str, tuple[FeatureSource, SAE]] = {}
    for hook in chosen[:MAX_MORE]:
        sae = usable_sae(others[hook], question)
        if sae is not None and hook == sae.hook_name != question.sae.hook_name:
            found[hook] = (others[hook], sae)
    return found


def usable_sae(source: FeatureSource, question: Question) -> SAE | None:
    """The SAE, if it can be read and is of the question's model; what is wrong with it
    is said where it is opened."""
    from tinysae.features.fit import check_same_model

    try:
        sae = cache.loaded_sae(source)
        check_same_model(sae, question.model)
    except TinysaeError:
        return None
    return sae


def show_layers(question: Question) -> None:
    """The choice of them, in the order of the model."""
    others = at_hand(question)
    hooks = [
        hook
        for hook in question.model.hooks
        if hook in others and hook != question.sae.hook_name
    ]
    if not hooks:
        return
    with more("why_layers", t("why.layers")):
        st.multiselect(
            t("why.layers_field"),
            hooks,
            format_func=lambda hook: plain(f"{source_label(others[hook])} · {hook}"),
            key=_KEY,
            max_selections=MAX_MORE,
        )
        note(t("why.layers_how"))


def _hook_of(source: FeatureSource) -> str:
    """By its configuration alone, since weights may be large; nothing if damaged."""
    try:
        metadata = read_json(source.sae_dir / CFG_NAME).get("metadata")
    except (OSError, ValueError):
        return ""
    return str(metadata.get("hook_name")) if isinstance(metadata, dict) else ""
