"""Playground: give the model a prompt, watch it choose every token."""

import streamlit as st

from tinysae.model.generate import BOUNDS, GenerateSettings, Writing, prepare_prompt
from tinysae.model.sources import STORYBOOK
from tinysae.ui.cache import loaded_model
from tinysae.ui.i18n import t
from tinysae.ui.page import page_setup, plain, shown_errors
from tinysae.ui.playground import (
    number,
    primed,
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
    text = st.text_area(
        t("playground.prompt"),
        key=primed(
            "_prompt", st.session_state.get(PROMPT, t("playground.prompt_default"))
        ),
        help=t("playground.prompt_help"),
        height=110,
    )
    st.session_state[PROMPT] = text

with choice:
    st.subheader(t("playground.how"))
    saved = st.session_state.get(SETTINGS, GenerateSettings())
    temperature = st.slider(
        t("playground.temperature"),
        *BOUNDS["temperature"],
        step=0.05,
        key=primed("_temperature", saved.temperature),
    )
    st.caption(plain(temperature_sentence(temperature)))
    first, second = st.columns(2)
    top_k = number(first, "top_k", saved)
    top_p = number(second, "top_p", saved, step=0.05)
    max_new_tokens = number(first, "max_new_tokens", saved)
    seed = number(second, "seed", saved)

with shown_errors():
    settings = GenerateSettings(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        max_new_tokens=max_new_tokens,
        seed=seed,
    )
    st.session_state[SETTINGS] = settings
    with talk:
        buttons = st.container(horizontal=True)
        model = loaded_model(STORYBOOK)
        prompt = prepare_prompt(model, text, settings.max_new_tokens)
        show_notices(model, prompt)
        story = st.empty()
    with choice:
        st.subheader(t("playground.next_title"))
        show_next_token(model, prompt, settings)

    if buttons.button(t("playground.generate"), type="primary"):
        st.session_state[WRITING] = Writing(model, prompt, settings)
    writing: Writing | None = st.session_state.get(WRITING)
    stop = buttons.empty()
    if writing is not None:
        if writing.reason is None:
            stop.button(t("playground.stop"), on_click=writing.stop)
        show_writing(story, model, writing)
        stop.empty()
    show_heatmap(model, prompt, writing)
