"""Healthy runs for `benchmarks/doctor.py`: all architectures, three models."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor_runs import Wanted
from tinysae.model.sources import STORYBOOK

# Long enough for what they learn, with the schedules that SAELens recommends.
LEARNT: dict[str, Any] = {
    "training_tokens": 400_000,
    "lr_decay_steps": 312,
    "l1_warm_up_steps": 78,
    "l0_warm_up_steps": 78,
}
STANDARD = {"architecture": "standard", "l1_coefficient": 1.7}
TOPK = {"architecture": "topk"}
BATCHTOPK = {"architecture": "batchtopk"}
JUMPRELU = {"architecture": "jumprelu", "l0_coefficient": 0.35, "d_sae": 1024}
GATED = {"architecture": "gated", "l1_coefficient": 2.0}
MATRYOSHKA = {"architecture": "matryoshka_batchtopk"}
EVERY = (STANDARD, TOPK, BATCHTOPK, JUMPRELU, GATED, MATRYOSHKA)
# What the other models read, and how much of it an SAE is to tell apart.
LAYERS = {"hook_name": "blocks.1.hook_resid_post", "context_size": 128, "k": 20.0}
TINY = {"hook_name": "blocks.0.hook_resid_post", "context_size": 128, "k": 16.0}
POST, MLP = "blocks.0.hook_resid_post", "blocks.0.hook_mlp_out"


def _healthy(model: str, *settings: dict[str, Any]) -> Wanted:
    merged = dict(LEARNT)
    for some in settings:
        merged |= some
    return Wanted(model, merged)


HEALTHY = (
    *(_healthy(STORYBOOK, own) for own in EVERY),
    *(_healthy(STORYBOOK, own, {"hook_name": POST}) for own in EVERY),
    _healthy(STORYBOOK, BATCHTOPK, {"hook_name": MLP}),
    *(_healthy("layers", own, LAYERS) for own in EVERY[1:5]),
    *(_healthy("tiny", own, TINY) for own in (TOPK, BATCHTOPK, MATRYOSHKA)),
)
