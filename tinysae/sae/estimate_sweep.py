"""What several trainings of one stream need and take together.

Each has weights and steps of its own; the model's activations are made once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinysae.config import TrainConfig
from tinysae.errors import InputError
from tinysae.sae.estimate import (
    FLOAT_BYTES,
    HIGH,
    LIBRARIES_BYTES,
    LOW,
    Speed,
    floats,
    memory_of,
    step_seconds,
)

# Of the machine's memory; pages and other programs need the rest.
MOST_OF_MEMORY = 0.75
# On disk of weights: the saved SAE; a checkpoint's weights and Adam's two moments, of
# which the newest goes only when the next is there.
SAE_COPIES, CHECKPOINT_COPIES = 1, 2 * 3
# A feature's examples, neighbours and names (768 features of the shipped SAE: 8.5 MB).
INDEX_BYTES_A_FEATURE = 11_000

WidthOf = Callable[[TrainConfig], int]
"""d_in at the hook of a training."""


@dataclass(frozen=True)
class SweepEstimate:
    """Memory at its peak, disk for all that is kept, and low and high guesses of the
    time of all trainings. Evaluation and index come on top."""

    n_points: int
    memory_bytes: int
    disk_bytes: int
    seconds: tuple[float, float]


def estimate_sweep(
    parties: Sequence[Sequence[TrainConfig]],
    speed: Speed,
    width_of: WidthOf,
    n_parameters: int,
    *,
    times: float = 1.0,
    others: float = 0.0,
) -> SweepEstimate:
    """Of `parties`, each of trainings that read one stream; `times` and `others` as in
    `sae.estimate.estimate`."""
    parts = [part for p in parties for part in fitting(p, width_of, n_parameters)]
    points = [config for part in parts for config in part]
    seconds = times * sum(_seconds(part, speed, width_of) for part in parts)
    low, high = LOW / (1 + others / speed.n_cores), HIGH
    return SweepEstimate(
        n_points=len(points),
        memory_bytes=max(together_bytes(p, width_of, n_parameters) for p in parts),
        disk_bytes=sum(disk_bytes(config, width_of(config)) for config in points),
        seconds=(seconds / high, seconds / low),
    )


def fitting(
    configs: Sequence[TrainConfig],
    width_of: WidthOf,
    n_parameters: int,
    device: str = "cpu",
) -> list[list[TrainConfig]]:
    """`configs` in parts of which each can be held at once; one that is too large even
    alone is a part of its own (`check_memory` has a word for it)."""
    room = MOST_OF_MEMORY * memory_of(device)
    parts: list[list[TrainConfig]] = []
    for config in configs:
        wider = [*parts[-1], config] if parts else []
        if wider and together_bytes(wider, width_of, n_parameters) <= room:
            parts[-1] = wider
        else:
            parts.append([config])
    return parts


def together_bytes(
    configs: Sequence[TrainConfig], width_of: WidthOf, n_parameters: int
) -> int:
    """Memory of trainings of one stream at their peak: weights of all, the passing
    arrays of one step, a buffer for each hook."""
    needed = [floats(config, width_of(config)) for config in configs]
    n_floats = sum(each["d_sae"] for each in needed)
    n_floats += max(each["train_batch_size_tokens"] for each in needed)
    of_hooks = {
        config.hook_name: each["n_batches_in_buffer"]
        for config, each in zip(configs, needed, strict=True)
    }
    n_floats += sum(of_hooks.values())
    return LIBRARIES_BYTES + FLOAT_BYTES * (n_parameters + n_floats)


def deepest(configs: Sequence[TrainConfig], hooks: Sequence[str]) -> TrainConfig:
    """Of `configs` the one at whose hook a forward arrives last.

    Raises:
        InputError: a hook that is not among the model's `hooks`.
    """
    for config in configs:
        if config.hook_name not in hooks:
            named = {"hook": config.hook_name[:200], "choices": ", ".join(hooks)}
            raise InputError("unknown_hook", **named)
    return max(configs, key=lambda config: hooks.index(config.hook_name))


def disk_bytes(config: TrainConfig, d_in: int) -> int:
    """What a run's folder comes to."""
    copies = SAE_COPIES + CHECKPOINT_COPIES
    copies += config.n_checkpoints * (SAE_COPIES + CHECKPOINT_COPIES // 2)
    weights = FLOAT_BYTES * 2 * config.d_sae * d_in
    return copies * weights + INDEX_BYTES_A_FEATURE * config.d_sae


def _seconds(part: Sequence[TrainConfig], speed: Speed, width_of: WidthOf) -> float:
    """The steps of all, and the activations of the longest."""
    steps = sum(
        step_seconds(config, speed, width_of(config)) * config.total_training_steps
        for config in part
    )
    tokens = max(c.total_training_steps * c.train_batch_size_tokens for c in part)
    return steps + tokens / speed.model_tokens
