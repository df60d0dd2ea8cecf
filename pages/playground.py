"""Write: give the model a prompt, watch it choose every token, look into a word."""

from dataclasses import replace
from typing import get_args

import streamlit as st

from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import empty_state, page_setup, shown_errors

page_setup("playground")

# After the title, which waits for no library.
from tinysae.jobs import launch  # noqa: E402
from tinysae.model.sources import is_at_hand  # noqa: E402
from tinysae.model.text.state import State, View  # noqa: E402
from tinysae.ui.parts import model_chooser  # noqa: E402
from tinysae.ui.parts.one_of import one_of  # noqa: E402
from tinysae.ui.shell.cache import loaded_model  # noqa: E402
from tinysae.ui.shell.chosen import chosen  # noqa: E402
from tinysae.ui.write import address, compare, export, ranks, stories, suite  # noqa: E402
from tinysae.ui.write.write_view import show_write  # noqa: E402


def main() -> None:
    state = address.opened_state()
    here = chosen("playground")
    if here.model != state.model:
        stories.forget()
        for key in (suite.RUN, compare.OTHER_MODEL):
            st.session_state.pop(key, None)
        state = address.of_model(state, here.model)
    # What comes next stands beside the controls, and begins as high as the tabs.
    left, right = st.columns([3, 2], gap="medium")
    with left:
        state = choose_view(state)
    address.keep_state(state)
    if not is_at_hand(state.model):
        empty_state("models.needed")
        return
    with shown_errors():
        if state.view == "write":
            show_write(here, state, left, right)
        elif state.view == "ranks":
            show_ranks(state)
        else:
            show_compare(state)
    if stories.SAMPLES in st.session_state:
        # Who has seen it write is likely to train next.
        launch.make_ready()


def choose_view(state: State) -> State:
    views: tuple[View, ...] = get_args(View)
    view = one_of(
        t("playground.view"),
        {view: t(f"playground.view_{view}") for view in views},
        state.view,
        key="_view",
        label_visibility="collapsed",
    )
    return replace(state, view=view)


def show_ranks(state: State) -> None:
    state = ranks.choose_answers(state)
    address.keep_state(state)
    address.show_in_address(state)
    model = loaded_model(state.model)
    ranks.show_ranks(model, state)
    show_below(state)


def show_compare(state: State) -> None:
    state = compare.choose_texts(state)
    address.keep_state(state)
    address.show_in_address(state)
    model = loaded_model(state.model)
    with shown_errors():
        compare.show_comparison(model, state)
    show_below(state)


def show_below(state: State) -> None:
    model = loaded_model(state.model)
    export.show_share(model, state)
    model_chooser.show_hooks(model)


main()
