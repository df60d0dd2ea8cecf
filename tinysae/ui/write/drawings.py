"""Other ways to draw a text: the tutorial's own, by CircuitsVis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import streamlit as st

from tinysae.ui.parts.framed import framed
from tinysae.ui.parts.one_of import one_of
from tinysae.ui.parts.tokens import circuitsvis_attention, circuitsvis_log_probs
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

Drawing = Literal["strip", "circuitsvis", "attention"]
# CircuitsVis draws a square of elements for every head.
MAX_ATTENTION_TOKENS = 64


def choose_drawing() -> tuple[Drawing, bool]:
    """How the stories are drawn, and whether spaces are marked."""
    options: tuple[Drawing, ...] = get_args(Drawing)
    names: dict[Drawing, str] = {
        name: t(f"playground.drawing_{name}") for name in options
    }
    drawing = one_of(t("playground.drawing"), names, "strip", key="_drawing", wrap=True)
    return drawing, st.toggle(t("playground.spaces"), key="_spaces")


def show_drawing(
    drawing: Drawing, model: LoadedModel, texts: Sequence[tuple[str, list[int]]]
) -> None:
    """One of `texts`, each a name and its tokens, in a frame of its own.

    Raises:
        InputError: it does not fit the context.
    """
    names = [name for name, _ in texts]
    chosen = st.pills(
        t("playground.which"),
        range(len(names)),
        default=len(names) > 1,
        required=True,
        format_func=names.__getitem__,
        key="_which",
    )
    _, ids = texts[chosen if chosen in range(len(names)) else 0]
    if drawing == "circuitsvis":
        _show_log_probs(model, ids)
    else:
        _show_attention(model, ids)


def _show_log_probs(model: LoadedModel, ids: list[int]) -> None:
    from tinysae.model.text.logprobs import log_probs

    tokens = model.to_input(ids)
    body = circuitsvis_log_probs(
        tokens[0].cpu(), log_probs(model, tokens)[0].cpu(), model.token_text
    )
    framed(body, t("playground.drawing_circuitsvis"), key="playground_circuitsvis")
    note(t("playground.circuitsvis_note"))


def _show_attention(model: LoadedModel, ids: list[int]) -> None:
    from tinysae.model.attention import attention_pattern

    layer = 0
    if model.n_layers > 1:
        layer = int(
            st.number_input(
                t("playground.layer"), 0, model.n_layers - 1, 0, key="_layer"
            )
        )
    shown = ids[:MAX_ATTENTION_TOKENS]
    pattern = attention_pattern(model, shown, layer).cpu()
    texts = [model.token_text(token_id) for token_id in (model.bos_id, *shown)]
    framed(
        circuitsvis_attention(texts, pattern),
        t("playground.drawing_attention"),
        key="playground_attention",
    )
    note(t("playground.attention_note", n=len(shown), total=f"{len(ids):,}"))
