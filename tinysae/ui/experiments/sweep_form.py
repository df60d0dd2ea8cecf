"""The form of a new sweep: what it begins from, which settings take which values, and
what that will take."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from tinysae.config import TrainConfig, is_read, settings
from tinysae.errors import TinysaeError
from tinysae.model.cores import busy_cores
from tinysae.model.sources import is_at_hand
from tinysae.presets import PRESETS
from tinysae.runs.axes import (
    Axes,
    every_layer,
    names_hooks,
    points_of,
    values_of,
    with_hooks,
)
from tinysae.runs.store import Run
from tinysae.runs.sweep import Sweep, start_sweep, streams
from tinysae.sae.estimate_sweep import SweepEstimate, deepest, estimate_sweep
from tinysae.setting import JUMPRELU, PENALISES_L1, Setting
from tinysae.ui.parts.job_words import duration_range, gigabytes, run_label
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import language, t
from tinysae.ui.shell.page import note, plain
from tinysae.ui.train import text_chooser
from tinysae.ui.train.expected import Learnt, learning, speed_of, until_measured
from tinysae.ui.train.setting_field import setting_field

MOST_RUNS = 50
"""The newest, to begin from."""
N_AXES = 2
# Around the base's own value, for a beginning.
_AROUND = (0.5, 1, 2)
_SEEDS = 3


def show_form(model: str, runs: Sequence[Run], show: Callable[[Sweep], None]) -> None:
    """The form; `show` is called with what Start has started.

    Args:
        model: what the sidebar has chosen.
        runs: whose settings can be a sweep's base, the newest first.
    """
    base = _choose_base(model, runs)
    typed: list[tuple[str, str]] = []
    for n in range(N_AXES):
        typed.append(_choose_axis(base, n, [name for name, _ in typed]))
    said = st.container(key="sweep_expected", gap="xsmall")
    axes: dict[str, Any] = {}
    refusal = _what_is_missing(base)
    try:
        axes = {name: values_of(name, text) for name, text in typed if name}
        if not refusal:
            axes = _with_hooks(base, axes)
        points = points_of(base, axes)
        if not refusal:
            with said:
                _show_expected(points, learning(runs))
    except TinysaeError as error:
        refusal = error.in_language(language())
    if refusal:
        said.info(plain(refusal))
    is_pressed = st.button(
        t("sweep.start"),
        type="primary",
        icon=":material/play_arrow:",
        disabled=bool(refusal),
        key="sweep_start",
    )
    # A forged click gets past a disabled button.
    if is_pressed and not refusal:
        show(start_sweep(base, axes))


def _with_hooks(base: TrainConfig, axes: Axes) -> dict[str, Any]:
    """`axes` with the hooks that a pattern names."""

    def of_model(name: str, values: Any) -> Any:
        is_pattern = names_hooks(name, values)
        return with_hooks(values, _hooks_of(base)) if is_pattern else values

    return {name: of_model(name, values) for name, values in axes.items()}


def _hooks_of(base: TrainConfig) -> list[str]:
    return list(cache.loaded_model(base.model_name).hook_widths)


def _choose_base(model: str, runs: Sequence[Run]) -> TrainConfig:
    bases: dict[str, TrainConfig] = {}
    names: dict[str, str] = {}
    for preset in PRESETS:
        fit = preset.on(model)
        if is_at_hand(fit.config.model_name):
            bases[preset.key] = fit.config
            names[preset.key] = t(f"train.preset_{preset.key}")
    for run in runs[:MOST_RUNS]:
        bases[run.id] = replace(run.config, name="")
        names[run.id] = run_label(run)
    _forget_gone("sweep_base", bases)
    left, right = st.columns(2)
    with left:
        key = st.selectbox(
            t("sweep.base"),
            list(bases),
            format_func=lambda each: names[each],
            key="sweep_base",
            help=t("sweep.base_help"),
        )
    base = bases.get(key) or TrainConfig(model_name=model)
    # It decides which settings there are to vary: an L1 coefficient, or a k.
    with right:
        architecture = setting_field(
            "architecture", base.architecture, f"sweep_architecture_{key}"
        )
    return replace(base, architecture=architecture, context_size=_context(base))


def _context(base: TrainConfig) -> int:
    """As many tokens as the model reads at once, if that is less: its trainings would
    be refused, once they had waited for their turn."""
    if not cache.warm_up_state().done or not is_at_hand(base.model_name):
        return base.context_size
    return min(base.context_size, cache.loaded_model(base.model_name).n_ctx)


def _choose_axis(base: TrainConfig, n: int, taken: Collection[str]) -> tuple[str, str]:
    """A setting, of those that no axis has taken, and its values as they were typed; no
    setting for none."""
    there = {name: each for name, each in _axes(base).items() if name not in taken}
    options = list(there) if n == 0 else ["", *there]
    left, right = st.columns([3, 2])
    key = f"sweep_axis_{n}_{base.architecture}"
    _forget_gone(key, options)
    with left:
        name: Any = st.selectbox(
            t("sweep.setting" if n == 0 else "sweep.setting_too"),
            options,
            format_func=partial(_called, there),
            key=key,
            help=t("sweep.setting_help"),
        )
    name = name if name in options else options[0]
    with right:
        text = st.text_input(
            t("sweep.values"),
            _usual_values(base, name) if name else "",
            key=f"sweep_values_{n}_{base.architecture}_{name}",
            help=t("sweep.values_help"),
            disabled=not name,
        )
    return name, text or ""


def _forget_gone(key: str, options: Collection[str]) -> None:
    """What was chosen and is no choice any more: a run that was deleted meanwhile."""
    if key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]


def _called(there: Mapping[str, Setting], name: str) -> str:
    return there[name].label(language()) if name in there else t("sweep.no_setting")


def _axes(base: TrainConfig) -> dict[str, Setting]:
    """What can be varied of it, what one is likely to vary first."""
    likely = [_sparsity_of(base), "d_sae", "lr", "seed", "training_tokens"]
    names = dict.fromkeys([*likely, *settings()])
    return {
        name: settings()[name]
        for name in names
        if name not in ("name", "model_name") and is_read(name, vars(base))
    }


def _sparsity_of(base: TrainConfig) -> str:
    """The setting that decides how many features are active."""
    if base.architecture in PENALISES_L1:
        return "l1_coefficient"
    return "l0_coefficient" if base.architecture in JUMPRELU else "k"


def _usual_values(base: TrainConfig, name: str) -> str:
    value, setting = getattr(base, name), settings()[name]
    if name == "hook_name" and is_at_hand(base.model_name):
        return every_layer(value, _hooks_of(base))
    if setting.choices:
        return ", ".join(setting.choices)
    if setting.kind is bool:
        return "true, false"
    if name == "seed":
        return ", ".join(str(value + more) for more in range(_SEEDS))
    if setting.kind not in (int, float):
        return value
    around = [setting.kind(value * times) for times in _AROUND]
    fitting = [each for each in around if (setting.low or 0) <= each]
    return ", ".join(
        f"{each:g}" if setting.kind is float else str(each)
        for each in dict.fromkeys(fitting)
    )


def _what_is_missing(base: TrainConfig) -> str | None:
    """Why it cannot be started on this machine, as a sentence."""
    if not is_at_hand(base.model_name):
        return t("train.needs_model", model=base.model_name)
    return text_chooser.what_is_missing(base.text)


def _show_expected(points: Sequence[TrainConfig], learnt_of: Learnt) -> None:
    """What it will take, or that this is being found out."""
    parties = streams(points)
    n_read = t("sweep.reads", n=len(parties)) if len(parties) > 1 else t("sweep.once")
    guess = _guess(parties, learnt_of)
    if guess is None:
        note(t("sweep.trainings", n=len(points), read=n_read))
        is_warm = cache.warm_up_state().done
        st.fragment(until_measured, run_every=1.0)(points[0], was_warm=is_warm)
        return
    note(
        t("sweep.trainings", n=len(points), read=n_read)
        + " "
        + t(
            "sweep.expected",
            time=duration_range(*guess.seconds),
            memory=gigabytes(guess.memory_bytes),
            disk=gigabytes(guess.disk_bytes),
        )
    )


def _guess(
    parties: Sequence[Sequence[TrainConfig]], learnt_of: Learnt
) -> SweepEstimate | None:
    points = [point for party in parties for point in party]
    first = points[0]
    if not cache.warm_up_state().done:
        return None
    model = cache.loaded_model(first.model_name)
    # The forward goes to the last of all hooks.
    if (speed := speed_of(deepest(points, list(model.hook_widths)))) is None:
        return None
    return estimate_sweep(
        parties,
        speed,
        lambda config: model.hook_widths.get(config.hook_name, model.d_model),
        model.n_parameters,
        times=learnt_of(first.architecture).times,
        others=busy_cores(),
    )
