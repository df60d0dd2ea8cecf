"""Share: the page as a link, as Python, and as files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from tinysae.errors import InputError
from tinysae.model.text.prompt import prepare_prompt
from tinysae.model.text.ranks import answers_in
from tinysae.model.text.state import State, packed, unpacked
from tinysae.ui.shell.i18n import language, link_parameters, t
from tinysae.ui.shell.page import note, plain, shown_errors
from tinysae.ui.write.play_heatmap import choose_text, colour_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinysae.model.sources import LoadedModel
    from tinysae.model.text.generate import Writing

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
        return stats_csv(model, stats).encode("utf-8-sig", "replace")

    def document() -> bytes:
        from tinysae.model.text.heatmap_file import stats_html
        from tinysae.model.text.logprobs import token_stats

        stats = token_stats(model, ids)
        steps = colour_steps(stats, state.colour)
        page = stats_html(model, stats, steps, legend, spoken)
        return page.encode("utf-8", "replace")

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
