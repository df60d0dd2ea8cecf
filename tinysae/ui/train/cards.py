"""The cards over the form: how much to train, each with what it takes here."""

from collections.abc import Sequence
from dataclasses import fields, replace

import streamlit as st

from tinysae.errors import TinysaeError
from tinysae.model.sources import STORYBOOK, is_at_hand
from tinysae.presets import PRESETS, Preset
from tinysae.runs.store import Run
from tinysae.sae.sparsity_control import repeated_plainly, settled_coefficient
from tinysae.ui.parts.job_words import duration_range, token_count
from tinysae.ui.shell.choice import choose
from tinysae.ui.shell.i18n import t
from tinysae.ui.shell.page import plain
from tinysae.ui.train.expected import Learnt, guess_of
from tinysae.ui.train.shipped_run import shipped_run

# The run whose settings the form begins with, while somebody wants that.
_LIKE = "train.like"
_PLAINLY = "train.like_plainly"


def start_from(run: Run, *, plainly: bool = False) -> None:
    """The form begins with the settings of `run`, from now on; for callbacks.

    `plainly`: with the coefficient that it was steered to, and not steered.
    """
    st.session_state[_LIKE] = run.id
    st.session_state[_PLAINLY] = plainly
    st.session_state["train_preset"] = _LIKE
    choose(run=run.id)


def choose_preset(model: str, runs: Sequence[Run], learnt_of: Learnt) -> Preset:
    """The cards: how much, each with what it takes here."""
    presets = {preset.key: preset for preset in PRESETS}
    wanted = st.session_state.get(_LIKE)
    like = next((run for run in (*runs, shipped_run()) if run.id == wanted), None)
    if like is not None:
        config, key = like.config, like.id
        settled = settled_coefficient(like.made_with())
        if st.session_state.get(_PLAINLY) and settled is not None:
            # Other widgets: those of the steered one keep what they were set to.
            config, key = repeated_plainly(config, settled), f"{key}_plainly"
        values = {f.name: getattr(config, f.name) for f in fields(config)}
        presets[_LIKE] = Preset(key, {**values, "name": ""})
    names = {key: t(f"train.preset_{key}") for key in presets if key != _LIKE}
    if like is not None:
        names[_LIKE] = plain(t("train.preset_like", name=like.config.title[:24]))

    def choose_its_model() -> None:
        # The tutorial is of one model; who leaves it without having that goes back.
        needed = presets["tutorial"].config.model_name
        is_tutorial = st.session_state["train_preset"] == "tutorial"
        if is_tutorial and model != needed:
            choose(model=needed)
        elif not is_tutorial and model == needed and not is_at_hand(needed):
            choose(model=STORYBOOK)

    # A place of its own for what says that a model is loaded: a page that came before
    # the model has none of it, and all that follows would be drawn anew.
    with st.container(key="train_loading"):
        captions = [_takes(preset, model, learnt_of) for preset in presets.values()]
    key = st.radio(
        t("train.preset"),
        list(presets),
        format_func=names.__getitem__,
        captions=captions,
        key="train_preset",
        label_visibility="collapsed",
        horizontal=True,
        on_change=choose_its_model,
    )
    return _on(presets.get(key, PRESETS[0]), model)


def _on(preset: Preset, model: str) -> Preset:
    """For the model that is chosen; a run's own settings stay what they were."""
    return preset.on(model) if preset in PRESETS else preset


def _takes(preset: Preset, model: str, learnt_of: Learnt) -> str:
    """How long it takes here, where that is known, and how much it reads."""
    config = preset.config
    said = t("train.card", tokens=token_count(config.training_tokens))
    if preset.key == "tutorial" and model != config.model_name:
        return said
    try:
        config = replace(_on(preset, model).config, model_name=model)
        guess = guess_of(config, learnt_of)
    except TinysaeError:
        return said
    return said if guess is None else f"{duration_range(*guess.seconds)} · {said}"
