"""Healthy runs for `benchmarks/doctor.py`: all architectures, three models."""

from __future__ import annotations

from typing import Any

# Long enough for what they learn, with the schedules that SAELens recommends.
TOKENS = {
    "training_tokens": 400_000,
    "train_batch_size_tokens": 256,
    "lr_decay_steps": 312,
    "l1_warm_up_steps": 78,
    "l0_warm_up_steps": 78,
}
LAYERS = {**TOKENS, "context_size": 128, "d_sae": 384, "k": 16.0}
TESTS = {**TOKENS, "context_size": 64, "d_sae": 128, "k": 8.0}
ARCHITECTURES: tuple[dict[str, Any], ...] = (
    {"architecture": "standard", "l1_coefficient": 1.0},
    {"architecture": "topk"},
    {"architecture": "batchtopk"},
    {"architecture": "jumprelu", "l0_coefficient": 0.1},
    {"architecture": "gated", "l1_coefficient": 1.5},
    {"architecture": "matryoshka_batchtopk"},
)
