"""What a run will take on this machine, before it is started."""

from collections.abc import Callable, Sequence
from functools import cache as cache_of
from functools import partial

import streamlit as st

from tinysae.config import Architecture, TrainConfig
from tinysae.errors import TinysaeError
from tinysae.model.cores import busy_cores
from tinysae.model.sources import is_at_hand
from tinysae.runs.experience import Experience, experience
from tinysae.runs.store import Run
from tinysae.sae.device import device_at_hand
from tinysae.sae.estimate import Estimate, Speed, check_memory, estimate
from tinysae.ui.parts.job_words import duration_range, gigabytes, rate_range
from tinysae.ui.shell import cache
from tinysae.ui.shell.i18n import t

MEASURING_S = 0.5
# Of the cores, from which the estimate says that others use them.
BUSY_SHARE = 0.5

Learnt = Callable[[Architecture], Experience]


def learning(runs: Sequence[Run]) -> Learnt:
    """What `runs` teach about an architecture; read once for each that is asked for."""
    return cache_of(partial(experience, runs))


def guess_of(config: TrainConfig, learnt_of: Learnt) -> Estimate | None:
    """What the run will take; None while this machine's speed is being measured.

    Raises:
        TinysaeError: the model cannot be loaded or has no such hook.
    """
    if not is_at_hand(config.model_name) or (speed := speed_of(config)) is None:
        return None
    model = cache.loaded_model(config.model_name)
    learnt = learnt_of(config.architecture)
    return estimate(
        config,
        speed,
        model.hook_widths[config.hook_name],
        model.n_parameters,
        times=learnt.times,
        more_bytes=learnt.more_bytes,
        others=busy_cores(),
    )


def show_estimate(config: TrainConfig, learnt_of: Learnt) -> Estimate | None:
    """Says what the run will take; None while that is being found out.

    Raises:
        TinysaeError: there is not enough memory for it, or no such model or hook.
    """
    guess, speed = guess_of(config, learnt_of), speed_of(config)
    if guess is None or speed is None:
        is_warm = cache.warm_up_state().done
        pause = MEASURING_S if is_warm else cache.LOOK_EVERY_S
        st.fragment(until_measured, run_every=pause)(config, was_warm=is_warm)
        return None
    model = cache.loaded_model(config.model_name)
    check_memory(config, model.hook_widths[config.hook_name], model.n_parameters)
    said = [
        t(
            "train.estimate",
            time=duration_range(*guess.seconds),
            rate=rate_range(*guess.tokens_per_s),
            memory=gigabytes(guess.memory_bytes),
        )
    ]
    if (others := busy_cores()) >= BUSY_SHARE * speed.n_cores:
        n = f"{min(others, speed.n_cores):.0f}"
        said.append(t("train.estimate_busy", n=n, cores=speed.n_cores))
    if device_at_hand(config.device) != "cpu":
        said.append(t("train.estimate_gpu"))
    explained = [t("train.estimate_help")]
    if n_runs := learnt_of(config.architecture).n_runs:
        explained.append(t("train.estimate_learnt", n=n_runs))
    st.markdown(f":small[{' '.join(said)}]", help=" ".join(explained))
    return guess


def speed_of(config: TrainConfig) -> Speed | None:
    """This machine's, with the run's model; None while it is being measured.

    Raises:
        TinysaeError: the model cannot be loaded.
    """
    if not cache.warm_up_state().done:
        return None
    # First, so that a model that cannot be loaded is said by the form itself.
    cache.loaded_model(config.model_name)
    return cache.speed(config.model_name, config.hook_name)


def until_measured(config: TrainConfig, *, was_warm: bool) -> None:
    """Says what is waited for, and draws the page again once it is there."""
    is_warm = cache.warm_up_state().done
    # As tall as the estimate, so that nothing under it moves when that comes.
    said = t("train.measuring" if is_warm else "train.estimate_later")
    st.markdown(f":small[{said}]")
    try:
        is_over = speed_of(config) is not None
    except TinysaeError:
        # The form says it, and Start is out of reach.
        is_over = True
    if is_over or is_warm != was_warm:
        st.rerun()
