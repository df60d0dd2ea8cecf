"""What a run will need and take, before it is started.

Memory follows from the shapes. Time follows from three speeds that `measure` takes in
two seconds: of a matrix product, of passing over memory, and of the model reading text.
How often SAELens's step does each of them is stated per architecture.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tinysae.config import Architecture, TrainConfig
from tinysae.errors import SettingError

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Each of the three measurements; together two seconds.
MEASURE_S = 0.6
PRODUCT_SIZE, PASS_SIZE = 768, 1 << 22
CONTEXTS, CONTEXT_SIZE = 16, 256
# What a process has loaded before the first tensor (torch, transformers, SAELens).
LIBRARIES_BYTES = 900_000_000
# Activations of a batch that are alive at once in a step and its gradient.
STEP_COPIES = 6
# Weights, gradient and Adam's two moments.
WEIGHT_COPIES = 4
# The machine is never as idle as while it was measured, and rarely half as fast.
LOW, HIGH = 0.6, 1.3
FLOAT_BYTES = 4


class _Cost(NamedTuple):
    """Of one step, in units of [batch, d_sae] times d_in, and of [batch, d_sae]."""

    products: float
    passes: float


# Products are counted in SAELens 6.54's steps; passes are rough guesses, good at
# d_sae 1,024 and too low at 4,096, where memory is slower than in `measure`.
_COSTS: dict[Architecture, _Cost] = {
    "standard": _Cost(6, 22),
    "topk": _Cost(5, 40),
    "batchtopk": _Cost(5, 60),
    "jumprelu": _Cost(6, 40),
    "gated": _Cost(12, 45),
    "matryoshka_batchtopk": _Cost(9, 75),
}
# Adam, the norm's clipping and the gradient's zeroing, per weight.
WEIGHT_PASSES = 14


@dataclass(frozen=True)
class Speed:
    """Of this machine: products (floating-point operations a second), memory (bytes a
    second of reading and writing), and the model (tokens a second up to the hook)."""

    product_flops: float
    pass_bytes: float
    model_tokens: float


@dataclass(frozen=True)
class Estimate:
    """Memory at its peak, and low and high guesses of speed and time of the training.

    What comes before (loading, the norm) and after (evaluation, index) is not in it.
    """

    memory_bytes: int
    tokens_per_s: tuple[float, float]
    seconds: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    model: "LoadedModel",
    hook_name: str,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Measures this machine for about two seconds.

    Raises:
        InputError: the model has no such hook.
    """
    import torch

    from tinysae.model.forward import activations

    def rate(work: Callable[[], object], amount: float) -> float:
        work()
        n, started = 0, clock()
        while clock() - started < MEASURE_S:
            work()
            n += 1
        return n * amount / (clock() - started)

    square = torch.randn(PRODUCT_SIZE, PRODUCT_SIZE)
    long = torch.randn(PASS_SIZE)
    tokens = torch.randint(model.d_vocab, (CONTEXTS, min(CONTEXT_SIZE, model.n_ctx)))
    with torch.inference_mode():
        return Speed(
            product_flops=rate(lambda: square @ square, 2.0 * PRODUCT_SIZE**3),
            pass_bytes=rate(long.relu, 2.0 * FLOAT_BYTES * PASS_SIZE),
            model_tokens=rate(
                lambda: activations(model, tokens, hook_name), tokens.numel()
            ),
        )


def estimate(
    config: TrainConfig, speed: Speed, d_in: int, n_parameters: int
) -> Estimate:
    """Memory, speed and time of `config` on activations of width `d_in`."""
    cost = _COSTS[config.architecture]
    batch, pairs = config.train_batch_size_tokens, config.d_sae * d_in
    seconds_a_step = (
        cost.products * 2 * batch * pairs / speed.product_flops
        + cost.passes * 2 * FLOAT_BYTES * batch * config.d_sae / speed.pass_bytes
        + WEIGHT_PASSES * 2 * FLOAT_BYTES * 2 * pairs / speed.pass_bytes
        + batch / speed.model_tokens
    )
    seconds = seconds_a_step * config.total_training_steps
    rate = batch / seconds_a_step
    return Estimate(
        memory_bytes=memory_bytes(config, d_in, n_parameters),
        tokens_per_s=(rate * LOW, rate * HIGH),
        seconds=(seconds / HIGH, seconds / LOW),
    )


def memory_bytes(config: TrainConfig, d_in: int, n_parameters: int) -> int:
    """Memory that the run's worker takes at its peak."""
    batch = config.train_batch_size_tokens
    buffer = config.n_batches_in_buffer * batch * d_in
    # A block that is shuffled, its copy, and the half that is being served.
    floats = (
        n_parameters
        + WEIGHT_COPIES * 2 * config.d_sae * d_in
        + STEP_COPIES * batch * config.d_sae
        + 2 * buffer
    )
    return LIBRARIES_BYTES + FLOAT_BYTES * floats


def check_memory(config: TrainConfig, d_in: int, n_parameters: int) -> None:
    """Refuses a run that this machine cannot hold.

    Raises:
        SettingError: it needs more memory than the machine has; the setting that asks
            for most of it is named.
    """
    # Comes with SAELens; the machine's memory, not what is free just now.
    import psutil

    needed = memory_bytes(config, d_in, n_parameters)
    there = psutil.virtual_memory().total
    if needed <= there:
        return
    batch = config.train_batch_size_tokens
    shares = {
        "d_sae": WEIGHT_COPIES * 2 * config.d_sae * d_in,
        "train_batch_size_tokens": STEP_COPIES * batch * config.d_sae,
        "n_batches_in_buffer": 2 * config.n_batches_in_buffer * batch * d_in,
    }
    field = max(shares, key=lambda name: shares[name])
    raise SettingError(
        "setting_memory",
        field=field,
        value=getattr(config, field),
        needed=round(needed / 1e9, 1),
        there=round(there / 1e9, 1),
    )
