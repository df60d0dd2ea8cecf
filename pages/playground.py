"""Playground: give the model a prompt, watch it choose every token."""

from dataclasses import replace
from typing import get_args

import streamlit as st

from tinysae.model.sources import is_at_hand
from tinysae.model.text.state import State, View
from tinysae.ui.parts import model_chooser
from tinysae.ui.shell.cache import loaded_model
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import empty_state, page_setup, plain, shown_errors
from tinysae.ui.write import (
    address,
    compare,
    export,
    heatmap,
    ranks,
    suite,
    writing,
)


def main() -> None:
    page_setup("playground")
    st.title(t("playground.title"))
    st.markdown(plain(t("playground.lead")))
    state = choose_view(choose_model(address.opened_state()))
    if not is_at_hand(state.model):
        address.keep_state(state)
        empty_state("models.needed")
        return
    with shown_errors():
        VIEWS[state.view](state)
        model_chooser.show_hooks(loaded_model(state.model))


def choose_model(state: State) -> State:
    source = model_chooser.choose_model(
        state.model,
        key="_model",
        label=t("models.model"),
        help=t("models.choose_help"),
    )
    if source != state.model:
        # What another model wrote is not this one's.
        for key in (writing.SAMPLES, suite.RUN):
            st.session_state.pop(key, None)
        state = replace(state, is_written=False)
    return replace(state, model=source)


def choose_view(state: State) -> State:
    views = {view: t(f"playground.view_{view}") for view in get_args(View)}
    view = st.segmented_control(
        t("playground.view"),
        views,
        default=state.view,
        required=True,
        format_func=views.__getitem__,
        key="_view",
        label_visibility="collapsed",
    )
    return replace(state, view=view if view in views else state.view)


def show_write(state: State) -> None:
    talk, choice = st.columns([3, 2], gap="large")
    with talk:
        state = replace(state, prompt=writing.prompt_field(state))
        address.keep_state(state)
        buttons = st.container(horizontal=True)
    with choice:
        state = writing.choose_settings(state)
        address.keep_state(state)
    with talk:
        model = loaded_model(state.model)
        prompt, state = writing.read_prompt(model, state)
        writing.show_typed(model, state.prompt)
    with choice:
        writing.show_next_token(model, prompt, state.settings)
    with talk:
        samples = writing.show_samples(buttons, model, prompt, state)
    state = replace(
        state,
        colour=heatmap.choose_colour(state.colour),
        is_written=writing.are_of(samples, prompt, state),
    )
    address.keep_state(state)
    address.show_in_address(state)
    heatmap.show_heatmap(model, prompt, samples, state.colour)
    export.show_share(model, state, samples)


def show_ranks(state: State) -> None:
    state = ranks.choose_answers(state)
    address.keep_state(state)
    address.show_in_address(state)
    model = loaded_model(state.model)
    ranks.show_ranks(model, state)
    export.show_share(model, state, [])


def show_compare(state: State) -> None:
    state = compare.choose_texts(state)
    address.keep_state(state)
    address.show_in_address(state)
    model = loaded_model(state.model)
    with shown_errors():
        compare.show_comparison(model, state)
    export.show_share(model, state, [])


VIEWS = {"write": show_write, "ranks": show_ranks, "compare": show_compare}
main()
