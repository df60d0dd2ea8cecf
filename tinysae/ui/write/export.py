"""What can be taken along: the page as a link, as Python, and as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.ranks import answers_in
from tinysae.render.visible import encodable
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, shown_errors
from tinysae.ui.write.address import link_to
from tinysae.ui.write.heatmap import choose_text, colour_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.generate import Writing
    from tinysae.model.text.state import State


def show_share(model: LoadedModel, state: State, samples: Sequence[Writing]) -> None:
    """Everything that can be taken along."""
    st.subheader(t("playground.share"))
    with st.expander(t("playground.share_link")), shown_errors():
        note(t("playground.share_link_note"))
        st.code(link_to(state), language=None, wrap_lines=True)
    with st.expander(t("playground.share_python")), shown_errors():
        note(t("playground.share_python_note"))
        st.code(_python(model, state), language="python")
    if state.view == "write":
        with st.expander(t("playground.share_files")), shown_errors():
            _show_files(model, state, samples)


def _python(model: LoadedModel, state: State) -> str:
    from tinysae.model.text import recipe

    if state.view == "ranks":
        answers = list(answers_in(state.answers))
        return recipe.ranks_code(model, state.prompt, answers, state.prepend_space)
    n_new = state.settings.max_new_tokens if state.view == "write" else 0
    prompt = prepare_prompt(model, state.prompt, n_new, state.keep)
    if state.view == "compare":
        return recipe.heatmap_code(model, prompt, state.prompt)
    return recipe.generate_code(
        model, prompt, state.prompt, state.settings, state.n_samples
    )


def _show_files(model: LoadedModel, state: State, samples: Sequence[Writing]) -> None:
    """The text's figures as files, made when they are asked for."""
    n_new = state.settings.max_new_tokens
    prompt = prepare_prompt(model, state.prompt, n_new, state.keep)
    ids, _ = choose_text(prompt, samples, key="_which_file")
    if not ids:
        note(t("playground.prompt_empty"))
        return
    spoken, legend = language(), t(f"playground.legend_{state.colour}")

    def table() -> bytes:
        from tinysae.model.text.heatmap_file import stats_csv
        from tinysae.model.text.logprobs import token_stats

        stats = token_stats(model, ids)
        return encodable(stats_csv(model, stats)).encode("utf-8-sig")

    def document() -> bytes:
        from tinysae.model.text.heatmap_file import stats_html
        from tinysae.model.text.logprobs import token_stats

        stats = token_stats(model, ids)
        steps = colour_steps(stats, state.colour)
        page = stats_html(model, stats, steps, legend, spoken)
        return encodable(page).encode()

    with st.container(horizontal=True):
        st.download_button(
            t("playground.download_csv"),
            table,
            "tokens.csv",
            "text/csv",
        )
        st.download_button(
            t("playground.download_html"),
            document,
            "heatmap.html",
            "text/html",
        )
