"""Playground: give the model a prompt, watch it choose every token."""

import streamlit as st

from tinysae.model.generate import BOUNDS, GenerateSettings, Writing, prepare_prompt
from tinysae.model.sources import STORYBOOK
from tinysae.ui.cache import loaded_model
from tinysae.ui.i18n import t
from tinysae.ui.page import page_setup, plain, shown_errors
from tinysae.ui.playground import (
    note,
    number,
    show_heatmap,
    show_next_token,
    show_notices,
    show_writing,
    temperature_sentence,
)

# What outlives a change of page: the widgets' own keys do not.
PROMPT, SETTINGS, WRITING = (
    f"playground.{name}" for name in ("prompt", "settings", "writing")
)

page_setup("playground")
st.title(t("playground.title"))
st.markdown(plain(t("playground.lead")))
talk, choice = st.columns([3, 2], gap="large")

with talk:
    kept: str = st.session_state.get(PROMPT, t("playground.prompt_default"))
    text = st.text_area(
        t("playground.prompt"),
        kept,
        key="_prompt",
        help=t("playground.prompt_help"),
        height=110,
    )
    st.session_state[PROMPT] = text
    buttons = st.container(horizontal=True)

with choice:
    st.subheader(t("playground.how"))
    saved = st.session_state.get(SETTINGS, GenerateSettings())
    temperature = st.slider(
        t("playground.temperature"),
        *BOUNDS["temperature"],
        saved.temperature,
        step=0.05,
        key="_temperature",
    )
    sentence = st.empty()
    first, second = st.columns(2)
    numbers = {
        "top_k": number(first, "top_k", saved),
        "top_p": number(second, "top_p", saved, step=0.05),
        "max_new_tokens": number(first, "max_new_tokens", saved),
        "seed": number(second, "seed", saved),
    }

with shown_errors():
    settings = GenerateSettings(temperature=temperature, **numbers)
    st.session_state[SETTINGS] = settings
    note(temperature_sentence(settings.temperature), sentence)
    with talk:
        model = loaded_model(STORYBOOK)
        prompt = prepare_prompt(model, text, settings.max_new_tokens)
        show_notices(model, prompt)
    with choice:
        st.subheader(t("playground.next_title"))
        show_next_token(model, prompt, settings)
    with talk:
        if buttons.button(t("playground.generate"), type="primary"):
            st.session_state[WRITING] = Writing(model, prompt, settings)
        writing: Writing | None = st.session_state.get(WRITING)
        if writing is not None:
            stop, story = buttons.empty(), st.empty()
            if writing.reason is None:
                stop.button(t("playground.stop"), on_click=writing.stop)
            show_writing(story, model, writing)
            stop.empty()
        show_heatmap(model, prompt, writing)
