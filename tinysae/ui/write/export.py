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
from tinysae.ui.write.heatmap import colour_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.state import State


def show_share(
    model: LoadedModel, state: State, texts: Sequence[tuple[str, list[int]]] = ()
) -> None:
    """Everything that can be taken along, behind one button.

    Args:
        model: the page's.
        state: what is on the page.
        texts: those whose figures are there as files: a name and its tokens each.
    """
    with st.popover(t("playground.share"), icon=":material/share:", key="write_share"):
        with shown_errors():
            note(t("playground.share_link_note"))
            st.code(link_to(state), language=None, wrap_lines=True)
        with shown_errors():
            note(t("playground.share_python_note"))
            st.code(_python(model, state), language="python")
        if state.view == "write":
            with shown_errors():
                _show_files(model, state, texts)


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


def _show_files(
    model: LoadedModel, state: State, texts: Sequence[tuple[str, list[int]]]
) -> None:
    """A text's figures as files, made when they are asked for."""
    if not texts:
        note(t("playground.prompt_empty"))
        return
    chosen = st.pills(
        t("playground.which"),
        range(len(texts)),
        default=len(texts) > 1,
        required=True,
        format_func=[name for name, _ in texts].__getitem__,
        key="_which_file",
    )
    _, ids = texts[chosen if chosen in range(len(texts)) else 0]
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
