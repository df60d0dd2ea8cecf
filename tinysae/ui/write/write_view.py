"""The tab Write, from top to bottom: what is asked for beside what could come next, and
below both the stories beside the word that is pointed at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from tinysae.model.sources import STORYBOOK
from tinysae.model.text.generate import GenerateSettings, Writing
from tinysae.model.text.state import State
from tinysae.ui.parts import model_chooser
from tinysae.ui.shell.cache import LOOK_EVERY_S, loaded_model, warm_up_state
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import note
from tinysae.ui.write import address, controls, export, next_word, stories
from tinysae.ui.write.heatmap import choose_colour
from tinysae.ui.write.stories import SAMPLES, Card
from tinysae.ui.write.told import shipped

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from tinysae.library.shipped_stories import ShippedStories
    from tinysae.model.loaded import LoadedModel
    from tinysae.model.text.prompt import Prompt
    from tinysae.ui.shell.chosen import Chosen
    from tinysae.ui.write.told import Told

# As high as the controls beside it.
NEXT_PX = 278


def show_write(
    here: Chosen, state: State, left: DeltaGenerator, right: DeltaGenerator
) -> None:
    """The whole tab, its controls at the `left` and the odds at the `right`.

    Who comes for the first time waits for no model: the first stories, and what could
    come after their prompt, came with tinysae.

    Raises:
        TinysaeError: of the model, or of what was chosen.
    """
    with left:
        prompt_text = controls.prompt_field(
            state, height=controls.PROMPT_PX, is_labelled=False
        )
        state = replace(state, prompt=prompt_text)
        address.keep_state(state)
        row = st.container(
            key="write_row", horizontal=True, vertical_alignment="center"
        )
        with row.container(key="write_button", width="content"):
            button = st.empty()
        wants_story = button.button(
            t("playground.generate"), type="primary", icon=":material/edit:"
        )
        with row:
            state, drawing, spaces = controls.choose_settings(state)
            with st.container(key="write_temperature", width="stretch"):
                note(controls.temperature_sentence(state.settings.temperature))
        address.keep_state(state)
        notices = st.container(key="write_notices")
        state = replace(state, colour=choose_colour(state.colour))
    is_typed = st.session_state.get(controls.TYPED, False)
    samples: list[Writing] = st.session_state.get(SAMPLES, [])
    cards: list[Card] = []
    model: LoadedModel | None = None
    prompt: Prompt | None = None
    first = None if samples or wants_story else _first_stories(state)
    if first is not None:
        cards = [Card(str(place), told) for place, told in enumerate(first[1])]
    with right.container(height=NEXT_PX, border=False, key="write_next", gap="xsmall"):
        st.subheader(t("playground.next_title"), anchor=False)
        said = next_word.sentence_place()
        is_early = not warm_up_state().done and drawing == "strip" and not is_typed
        if first is not None and is_early and _is_usual(state):
            next_word.show_shipped_next(first[0], said)
        else:
            with said:
                model = loaded_model(state.model)
            with notices:
                prompt, state = controls.read_prompt(model, state)
                if is_typed:
                    controls.show_typed(model, state.prompt)
            next_word.show_next(model, prompt, state.settings, said)
            if wants_story or (state.is_written and not cards and not samples):
                samples = stories.begin(model, prompt, state)
            if first is None:
                state = replace(
                    state, is_written=stories.are_of(samples, prompt, state)
                )
    address.keep_state(state)
    address.show_in_address(state)
    is_writing = stories.is_writing(samples)
    if is_writing:
        button.button(
            t("playground.stop"),
            icon=":material/stop:",
            on_click=stories.stop,
            args=(samples,),
        )
        cards = []
    elif model is not None and prompt is not None and first is None:
        cards = stories.cards_of(model, prompt, samples)
    shown = stories.Shown(
        cards, model, state.colour, drawing, spaces, is_first_visit=first is not None
    )
    stories.show_stories(here, shown, samples)
    if is_writing:
        return
    if model is None:
        _wait_for_model()
        return
    with st.container(horizontal=True, vertical_alignment="top"):
        export.show_share(model, state, stories.names_of(cards))
    model_chooser.show_hooks(model)


def _first_stories(state: State) -> tuple[ShippedStories, list[Told]] | None:
    """The stories that came with tinysae, where they are of this prompt and were not
    asked for with other settings."""
    if state.model != STORYBOOK or (state.is_written and not _is_usual(state)):
        return None
    first = shipped()
    return first if state.prompt == first[0].prompt else None


def _is_usual(state: State) -> bool:
    """Whether the settings are those that everybody begins with."""
    return state.settings == GenerateSettings() and state.n_samples == State().n_samples


def _wait_for_model() -> None:
    """What needs the model comes when it is there; nothing waits for it."""
    st.fragment(_look_for_model, run_every=LOOK_EVERY_S)()


def _look_for_model() -> None:
    state = warm_up_state()
    if state.done:
        st.rerun()
    note(t(f"common.warm_up_{state.stage}"))
