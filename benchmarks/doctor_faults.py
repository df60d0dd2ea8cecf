"""Faults for `benchmarks/doctor.py`: how each is planted, and the figure it spoils."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.doctor_runs import STORIES, Wanted
from tinysae.runs.doctor.case import Case
from tinysae.runs.doctor.rules.l0_high import limit
from tinysae.runs.doctor.rules.spikes import highest

POST, MLP = "blocks.0.hook_resid_post", "blocks.0.hook_mlp_out"


class Fault(NamedTuple):
    """A fault that is planted.

    key: the diagnosis that is right. run: how it is planted. measure: the figure that
    it spoils, in words. figure: it. is_better: of the mended run's figure after that of
    the sick one.
    """

    key: str
    run: Wanted
    measure: str
    figure: Callable[[Case], float]
    is_better: Callable[[float, float], bool]


def lower(before: float, after: float) -> bool:
    return after < before


def higher(before: float, after: float) -> bool:
    """Of a run that has none, as it diverged, any is."""
    return after > before or (math.isnan(before) and not math.isnan(after))


def nearer_to_one(before: float, after: float) -> bool:
    return abs(math.log(after)) < abs(math.log(before))


def explained(case: Case) -> float:
    return case.figure("explained_variance")


def of_stories(case: Case) -> float:
    """Whatever text it has seen."""
    found = case.figure(STORIES)
    return explained(case) if math.isnan(found) else found


def excess(case: Case) -> float:
    """How many times more features a token than can be read, or less than one."""
    return max(case.l0 / limit(case), 1 / max(case.l0, 1e-6), 1.0)


def nats(case: Case) -> float:
    return case.figure("ce_loss_sae") - case.figure("ce_loss_clean")


def cost_of_zeros(case: Case) -> float:
    return case.figure("ce_loss_zero") - case.figure("ce_loss_clean")


def uncertainty(case: Case) -> float:
    return case.figure("ce_error") / cost_of_zeros(case)


def of_storybook(**settings: object) -> Wanted:
    return Wanted(settings=settings)


FAULTS = (
    Fault(
        "diverged",
        of_storybook(architecture="standard", l1_coefficient=1.0, lr=0.3),
        *("explained variance", explained, higher),
    ),
    Fault(
        "norm_off",
        of_storybook(
            architecture="standard",
            hook_name=POST,
            l1_coefficient=3.0,
            normalize_activations="none",
        ),
        *("dense features", lambda case: case.dense_share, lower),
    ),
    Fault(
        "outliers",
        Wanted("first_token", {"hook_name": "blocks.0.hook_resid_pre"}),
        *("explained variance", explained, higher),
    ),
    Fault(
        "spikes",
        of_storybook(
            architecture="topk",
            lr=0.04,
            lr_scheduler_name="cosineannealingwarmrestarts",
            n_restart_cycles=5,
        ),
        *("highest spike", highest, lower),
    ),
    Fault(
        "lr_high",
        of_storybook(lr=0.02),
        *("explained variance", explained, higher),
    ),
    Fault(
        "lr_low",
        of_storybook(lr=3e-5),
        *("explained variance", explained, higher),
    ),
    Fault(
        "text_repeated",
        Wanted(text="few"),
        *("explained variance of unseen stories", of_stories, higher),
    ),
    Fault(
        "too_wide",
        of_storybook(architecture="topk", d_sae=4096, k=8.0, training_tokens=40_000),
        *("dead features", lambda case: case.dead_share, lower),
    ),
    Fault(
        "l0_low",
        of_storybook(architecture="standard", l1_coefficient=20.0),
        *("explained variance", explained, higher),
    ),
    Fault(
        "rail",
        of_storybook(
            architecture="jumprelu",
            l0_coefficient=50.0,
            jumprelu_init_threshold=0.01,
            jumprelu_bandwidth=0.05,
            jumprelu_ste_to_input=False,
            lr=6e-4,
            d_sae=256,
        ),
        *("L0 over what can be read", excess, lower),
    ),
    Fault(
        "l0_high",
        of_storybook(architecture="standard", l1_coefficient=0.05),
        *("L0 over what can be read", excess, lower),
    ),
    Fault(
        "dead",
        of_storybook(aux_loss_coefficient=0.0, d_sae=1024, k=8.0, lr=5e-3),
        *("dead features", lambda case: case.dead_share, lower),
    ),
    Fault(
        "dense",
        of_storybook(architecture="topk", k=64.0, d_sae=256),
        *("dense features", lambda case: case.dense_share, lower),
    ),
    Fault(
        "shrinkage",
        of_storybook(architecture="standard", l1_coefficient=5.0),
        "E‖x̂‖² / E[x̂·x]",
        lambda case: case.figure("relative_reconstruction_bias"),
        nearer_to_one,
    ),
    Fault(
        "few_tokens",
        of_storybook(architecture="topk", training_tokens=10_000),
        *("explained variance", explained, higher),
    ),
    Fault(
        "meaningless",
        Wanted("quiet", {"hook_name": "blocks.2.hook_mlp_out", "context_size": 128}),
        *("CE_zero − CE_clean", cost_of_zeros, higher),
    ),
    Fault(
        "flattered",
        of_storybook(architecture="topk", hook_name=MLP, k=6.0),
        *("nats lost a token", nats, lower),
    ),
    Fault(
        "small_evaluation",
        Wanted(text="lone"),
        *("standard error of the score", uncertainty, lower),
    ),
)
