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
# The other models are 96 and 64 wide: twice as many features, as of the storybook, and
# as sparse. JumpReLU's coefficient, which hangs on the model, is known for that alone.
LAYERS = {"hook_name": "blocks.1.hook_resid_post", "context_size": 128}
LAYERS |= {"d_sae": 192, "k": 9.0}
# Of the second, whose loss is 3.8 nats after 160 steps, BatchTopK and Matryoshka have
# a third of the features dead, which the doctor says.
TINY = {"hook_name": "blocks.0.hook_resid_post", "context_size": 128}
TINY |= {"d_sae": 128, "k": 6.0}
# There 0.35 has killed half of JumpReLU's features at once.
AFTER = {"hook_name": "blocks.0.hook_resid_post", "l0_coefficient": 0.12}
MLP = "blocks.0.hook_mlp_out"


def _healthy(model: str, *settings: dict[str, Any]) -> Wanted:
    merged = dict(LEARNT)
    for some in settings:
        merged |= some
    return Wanted(model, merged)


HEALTHY = (
    *(_healthy(STORYBOOK, own) for own in EVERY),
    *(_healthy(STORYBOOK, own, AFTER) for own in EVERY),
    *(_healthy(STORYBOOK, own, {"hook_name": MLP}) for own in (BATCHTOPK, GATED)),
    *(_healthy("layers", own, LAYERS) for own in (TOPK, BATCHTOPK, GATED, MATRYOSHKA)),
    *(_healthy("tiny", own, TINY) for own in (TOPK, GATED)),
)
