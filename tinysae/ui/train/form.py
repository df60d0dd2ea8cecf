"""The form for a new run: how much, what, and what that will take."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tinysae.config import TrainConfig, is_read, settings
from tinysae.errors import TinysaeError
from tinysae.model.cores import busy_cores
from tinysae.model.sources import is_at_hand
from tinysae.presets import PRESETS, RETIRED, Preset
from tinysae.runs.experience import experience
from tinysae.runs.store import list_runs
from tinysae.sae.estimate import Estimate, Speed, check_memory, estimate
from tinysae.setting import GROUPS
from tinysae.ui.parts.job_words import duration_range, gigabytes, rate_range
from tinysae.ui.parts.model_chooser import choose_model
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import plain
from tinysae.ui.train import text_chooser
from tinysae.ui.train.setting_field import setting_field

# In front, before "all settings": what a first run is likely to change.
_IN_FRONT = ("model_name", "architecture", "name")
EXPANSION_FACTORS = (1, 2, 4, 8, 16, 32, 64)
MEASURING_S = 0.5
# Of the cores, from which the estimate says that others use them.
BUSY_SHARE = 0.5

Start = Callable[[TrainConfig, Estimate | None], None]


def show_form(start: Start) -> None:
    """The settings and the Start button; `start` is called once it is pressed."""
    preset = _choose_preset()
    config = guess = refusal = None
    try:
        config, beside_text = _settings_of(preset)
        with beside_text:
            text_chooser.show_preview(config)
        refusal = _what_is_missing(config)
        if refusal:
            st.info(plain(refusal))
        else:
            guess = _show_estimate(config)
    except TinysaeError as error:
        refusal = error.in_language(language())
        st.error(plain(refusal))
    is_pressed = st.button(
        t("train.start"),
        type="primary",
        icon=":material/play_arrow:",
        disabled=bool(refusal),
        key="train_start",
    )
    # A forged click gets past a disabled button.
    if is_pressed and config is not None and not refusal:
        start(config, guess)
    _show_retired()


def _choose_preset() -> Preset:
    key = st.segmented_control(
        t("train.preset"),
        [preset.key for preset in PRESETS],
        format_func=lambda key: t(f"train.preset_{key}"),
        default=PRESETS[0].key,
        required=True,
        key="train_preset",
    )
    return next((p for p in PRESETS if p.key == key), PRESETS[0])


def _settings_of(preset: Preset) -> tuple[TrainConfig, DeltaGenerator]:
    """The form's values, and a place under the choice of the text.

    Raises:
        SettingError: they contradict each other, or were forged past their widgets.
    """
    defaults = preset.config
    values: dict[str, Any] = {}
    for name in _IN_FRONT:
        values[name] = _setting_widget(name, defaults, preset.key, values)
    values |= text_chooser.choose_text(defaults, preset.key)
    beside_text = st.container()
    with st.expander(t("train.settings")):
        tabs = st.tabs([t(f"train.group_{group}") for group in GROUPS])
        for group, tab in zip(GROUPS, tabs, strict=True):
            with tab:
                _group_of_settings(group, defaults, preset.key, values)
    return TrainConfig(**{**preset.changes, **values}), beside_text


def _group_of_settings(
    group: str, defaults: TrainConfig, preset: str, values: dict[str, Any]
) -> None:
    columns = st.columns(3)
    shown = 0
    for name, setting in settings().items():
        if setting.group != group or name in (*text_chooser.FIELDS, *_IN_FRONT):
            continue
        if not is_read(name, values):
            continue
        with columns[shown % len(columns)]:
            values[name] = _setting_widget(name, defaults, preset, values)
            if name == "d_sae":
                _expansion_factor(preset, values)
        shown += 1


def _setting_widget(
    name: str, defaults: TrainConfig, preset: str, values: dict[str, Any]
) -> Any:
    setting, value, key = settings()[name], getattr(defaults, name), f"{preset}_{name}"
    label, note = setting.label(language()), setting.help(language())
    if name == "model_name":
        return choose_model(value, key=key, label=label, help=t("models.choose_help"))
    if name == "hook_name":
        hooks = _hook_widths(values["model_name"])
        return st.selectbox(
            label,
            [value, *(hook for hook in hooks if hook != value)],
            format_func=lambda hook: f"{hook} · {hooks.get(hook, '…')}",
            key=key,
            help=note,
        )
    return setting_field(name, value, key)


def _expansion_factor(preset: str, values: dict[str, Any]) -> None:
    """The tutorial's way to say d_sae: as a multiple of the hook's width."""
    d_in = _hook_widths(values["model_name"]).get(values["hook_name"])
    if d_in is None:
        return
    d_sae = values["d_sae"]
    factor = d_sae / d_in
    # Another d_sae, another widget.
    key = f"{preset}_expansion_factor_{d_sae}"

    def choose() -> None:
        chosen = st.session_state[key]
        # A browser that has not heard of a new d_sae yet repeats the old one's factor,
        # as if somebody had chosen it.
        is_old = st.session_state[f"{preset}_d_sae"] != d_sae
        if chosen in EXPANSION_FACTORS and not is_old:
            st.session_state[f"{preset}_d_sae"] = chosen * d_in

    is_one = factor in EXPANSION_FACTORS
    st.selectbox(
        t("train.expansion_factor"),
        EXPANSION_FACTORS,
        index=EXPANSION_FACTORS.index(int(factor)) if is_one else None,
        placeholder=f"{factor:g}",
        format_func=lambda times: f"{times} × {d_in} = {times * d_in:,}",
        key=key,
        on_change=choose,
        help=t("train.expansion_factor_help"),
    )


def _hook_widths(model_name: str) -> Mapping[str, int]:
    """The model's hooks and their widths; none until the embedded one is warm."""
    if not cache.warm_up_state().done or not is_at_hand(model_name):
        return {}
    try:
        return cache.loaded_model(model_name).hook_widths
    except TinysaeError:
        return {}


def _what_is_missing(config: TrainConfig) -> str | None:
    """Why the run cannot be started on this machine, as a sentence."""
    if not is_at_hand(config.model_name):
        return t("train.needs_model", model=config.model_name)
    return text_chooser.what_is_missing(config.text)


def _show_estimate(config: TrainConfig) -> Estimate | None:
    """What the run will take; None while that is being found out."""
    speed = _speed(config)
    if speed is None:
        st.fragment(_until_measured, run_every=MEASURING_S)(config)
        return None
    model = cache.loaded_model(config.model_name)
    d_in = model.hook_widths[config.hook_name]
    check_memory(config, d_in, model.n_parameters)
    others = busy_cores()
    learnt = experience(list_runs(), config.architecture)
    guess = estimate(
        config,
        speed,
        d_in,
        model.n_parameters,
        times=learnt.times,
        more_bytes=learnt.more_bytes,
        others=others,
    )
    said = [
        t(
            "train.estimate",
            time=duration_range(*guess.seconds),
            rate=rate_range(*guess.tokens_per_s),
            memory=gigabytes(guess.memory_bytes),
        )
    ]
    if others >= BUSY_SHARE * speed.n_cores:
        said.append(
            t(
                "train.estimate_busy",
                n=f"{min(others, speed.n_cores):.0f}",
                cores=speed.n_cores,
            )
        )
    explained = [t("train.estimate_help")]
    if learnt.n_runs:
        explained.append(t("train.estimate_learnt", n=learnt.n_runs))
    st.markdown(" ".join(said), help=" ".join(explained))
    return guess


def _speed(config: TrainConfig) -> Speed | None:
    if not cache.warm_up_state().done:
        return None
    # First, so that a model that cannot be loaded is said by the form itself.
    cache.loaded_model(config.model_name)
    return cache.speed(config.model_name, config.hook_name)


def _until_measured(config: TrainConfig) -> None:
    """Says what is waited for, and draws the page again once it is there."""
    is_warm = cache.warm_up_state().done
    # As tall as the estimate, so that nothing under it moves when that comes.
    st.markdown(t("train.measuring" if is_warm else "train.estimate_later"))
    try:
        is_over = _speed(config) is not None
    except TinysaeError:
        # The form says it, and Start is out of reach.
        is_over = True
    if is_over:
        st.rerun()


def _show_retired() -> None:
    with st.expander(t("train.retired")):
        st.markdown(t("train.retired_intro"))
        rows = [
            {
                t("train.retired_name"): option.name,
                t("train.retired_value"): option.tutorial,
                t("train.retired_fate"): t(f"train.retired_{option.fate}"),
                t("train.retired_now"): option.now or "",
                t("train.retired_why"): option.why(language()),
            }
            for option in RETIRED
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True)
