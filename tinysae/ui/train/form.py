"""The form for a new run: how much, what, and what that will take."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tinysae.config import TrainConfig, is_read, settings
from tinysae.errors import TinysaeError
from tinysae.model.names import shown_name
from tinysae.model.sources import is_at_hand
from tinysae.presets import RETIRED, Preset
from tinysae.runs.store import Run
from tinysae.sae.estimate import Estimate
from tinysae.sae.sparsity_control import l0_setting
from tinysae.setting import GROUPS, IN_STEPS
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain
from tinysae.ui.train import text_chooser
from tinysae.ui.train.cards import choose_preset
from tinysae.ui.train.expected import guess_of, learning, show_estimate
from tinysae.ui.train.setting_field import setting_field
from tinysae.ui.train.work import show_work

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Before all others: what a first run is likely to change. Between them stands how many
# features a token, which every architecture has another setting for.
_IN_FRONT = ("architecture", "", "name")
# Chosen above the groups, or in the sidebar.
_ELSEWHERE = frozenset({*text_chooser.FIELDS, *_IN_FRONT, "model_name"})
# What decides how many steps a run has, and what is counted in them.
_STEPS_OF = ("training_tokens", "train_batch_size_tokens")
EXPANSION_FACTORS = (1, 2, 4, 8, 16, 32, 64)

Start = Callable[[TrainConfig, Estimate | None], None]


def show_form(
    start: Start, model: str, runs: Sequence[Run], working: Run | None
) -> None:
    """The cards, what they mean here and Start; every setting is one click away.

    Args:
        start: called once Start is pressed.
        model: what the sidebar has chosen.
        runs: which the estimate learns from, and whose settings can be taken over.
        working: the run whose progress stands where the estimate stands otherwise.
    """
    config = guess = refusal = None
    learnt_of = learning(runs)
    preset = choose_preset(model, runs, learnt_of)
    # Their places are there before what they say, and hold on to what they said before.
    summary = st.container(key="train_summary")
    begin = st.container(
        key="train_begin", horizontal=True, vertical_alignment="center", gap="small"
    )
    below = st.container(key="train_expected", gap="xsmall")
    pressed = begin.empty()
    try:
        with begin, st.popover(t("train.more"), icon=":material/tune:"):
            config, beside_text = _settings_of(preset, model)
        with beside_text:
            text_chooser.show_preview(config)
        summary.markdown(_in_a_line(config))
        with below:
            refusal = _what_is_missing(config)
            if refusal:
                st.info(plain(refusal))
            elif working is None:
                guess = show_estimate(config, learnt_of)
            else:
                guess = guess_of(config, learnt_of)
    except TinysaeError as error:
        refusal = error.in_language(language())
        below.error(plain(refusal))
    if working is not None:
        with below:
            show_work(working)
            note(t("train.waits_its_turn"))
    is_pressed = pressed.button(
        t("train.start"),
        type="primary",
        icon=":material/play_arrow:",
        disabled=bool(refusal),
        key="train_start",
    )
    # A forged click gets past a disabled button.
    if is_pressed and config is not None and not refusal:
        start(config, guess)


def _in_a_line(config: TrainConfig) -> str:
    """What will be trained on what, as one line."""
    said = t(
        "train.in_a_line",
        model=shown_name(config.model_name),
        architecture=config.architecture,
        features=f"{config.d_sae:,}",
        text=text_chooser.called(config.text),
    )
    return f":small[{plain(said)}]"


def _settings_of(preset: Preset, model: str) -> tuple[TrainConfig, DeltaGenerator]:
    """The form's values, and a place under the choice of the text.

    Raises:
        SettingError: they contradict each other, or were forged past their widgets.
    """
    defaults = preset.config
    values: dict[str, Any] = {"model_name": model}
    with st.container(key="train_settings"):
        # Fields in a line, however long their names are.
        row = st.columns(3, vertical_alignment="bottom")
        for front, column in zip(_IN_FRONT, row, strict=True):
            with column:
                name = front or _l0_setting(defaults, preset.key, values)
                values[name] = _setting_widget(name, defaults, preset.key, values)
        values |= text_chooser.choose_text(defaults, preset.key)
        beside_text = st.container()
        st.markdown(f"**{t('train.settings')}**")
        tabs = st.tabs([t(f"train.group_{group}") for group in GROUPS])
        for group, tab in zip(GROUPS, tabs, strict=True):
            with tab:
                _group_of_settings(group, defaults, preset.key, values)
        _show_retired()
    return TrainConfig(**{**preset.changes, **values}), beside_text


def _group_of_settings(
    group: str, defaults: TrainConfig, preset: str, values: dict[str, Any]
) -> None:
    columns = st.columns(2)
    shown = 0
    for name, setting in settings().items():
        if setting.group != group or name in _ELSEWHERE or name in values:
            continue
        if not is_read(name, values):
            continue
        with columns[shown % len(columns)]:
            values[name] = _setting_widget(name, defaults, preset, values)
            if name == "d_sae":
                _expansion_factor(preset, values)
        shown += 1


def _l0_setting(defaults: TrainConfig, preset: str, values: dict[str, Any]) -> str:
    """What says how many features a token, by what is chosen further below, too."""
    decider = "jumprelu_sparsity_loss_mode"
    chosen = st.session_state.get(f"{preset}_{decider}", getattr(defaults, decider))
    return l0_setting({**values, decider: chosen})


def _setting_widget(
    name: str, defaults: TrainConfig, preset: str, values: dict[str, Any]
) -> Any:
    setting, value, key = settings()[name], getattr(defaults, name), f"{preset}_{name}"
    label, note = setting.label(language()), setting.help(language())
    model = _loaded(values["model_name"])
    if name == "hook_name":
        hooks = model.hook_widths if model is not None else {}
        return st.selectbox(
            label,
            [
                *([value] if value in hooks or not hooks else []),
                *(hook for hook in hooks if hook != value),
            ],
            format_func=lambda hook: f"{hook} · {hooks.get(hook, '…')}",
            # Each model has its own: whoever comes back finds what was chosen for it.
            key=f"{key}_{values['model_name']}",
            help=note,
        )
    if name == "context_size" and model is not None:
        # The run would be refused by the model, once it had waited for its turn. What
        # was chosen for another model stays in the session.
        if st.session_state.get(key, 0) > model.n_ctx:
            st.session_state[key] = model.n_ctx
        return setting_field(name, min(value, model.n_ctx), key, high=model.n_ctx)
    if name in _STEPS_OF:
        return setting_field(
            name, value, key, on_change=lambda: _keep_shares(preset, defaults)
        )
    return setting_field(name, value, key)


def _keep_shares(preset: str, defaults: TrainConfig) -> None:
    """Warm-ups and decay stay the shares of the run that they were: whoever asks for
    fewer tokens would otherwise be refused because of a setting never looked at."""
    state = st.session_state
    tokens, batch = (
        state.get(f"{preset}_{name}", getattr(defaults, name)) for name in _STEPS_OF
    )
    key = f"{preset}_steps"
    before, steps = state.get(key, defaults.total_training_steps), tokens // batch
    if steps < 1:
        return
    for name in IN_STEPS:
        if (field := f"{preset}_{name}") in state:
            state[field] = state[field] * steps // before
    state[key] = steps


def _expansion_factor(preset: str, values: dict[str, Any]) -> None:
    """The tutorial's way to say d_sae: as a multiple of the hook's width."""
    model = _loaded(values["model_name"])
    d_in = model and model.hook_widths.get(values["hook_name"])
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


def _loaded(model_name: str) -> "LoadedModel | None":
    """The model, for its hooks and its limits; None until the embedded one is warm."""
    if not cache.warm_up_state().done or not is_at_hand(model_name):
        return None
    try:
        return cache.loaded_model(model_name)
    except TinysaeError:
        return None


def _what_is_missing(config: TrainConfig) -> str | None:
    """Why the run cannot be started on this machine, as a sentence."""
    if not is_at_hand(config.model_name):
        return t("train.needs_model", model=config.model_name)
    return text_chooser.what_is_missing(config.text)


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
