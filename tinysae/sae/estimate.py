"""What a run will need and take, before it is started.

Memory follows from the shapes. Time follows from three speeds that `measure` takes in
two seconds: of a matrix product, of passing over memory, and of the model reading text.
How often the sparse step (`tinysae.sae.step.sparse`) does each of them is fitted to its
times on one core, from 256 x 1,024 to 1,024 x 8,192. What earlier runs took here
corrects both (`tinysae.runs.experience`).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tinysae.checked_numbers import MAX_WHOLE, is_number_within
from tinysae.config import Architecture, TrainConfig
from tinysae.errors import SettingError
from tinysae.sae.sparsity_control import asked_l0

if TYPE_CHECKING:
    from tinysae.model.sources import LoadedModel

# Each of the three measurements; together two seconds.
MEASURE_S = 0.6
# A step's product, cut small; and what does not fit into a cache.
PRODUCT_ROWS, PRODUCT_TOKENS, PRODUCT_WIDTH = 512, 1024, 256
PASS_SIZE = 1 << 24
CONTEXTS, CONTEXT_SIZE = 16, 256
# What a process has loaded before the first tensor (torch, transformers, SAELens).
LIBRARIES_BYTES = 900_000_000
# Activations of a batch that are alive at once in SAELens's step and its gradient: more
# than ours needs, which trains nearly always.
STEP_COPIES = 6
# Weights, gradient and Adam's two moments.
WEIGHT_COPIES = 4
# Blocks of half a buffer: the one that is served, the one before, the next.
BLOCKS = 3
# The machine is never as idle as while it was measured, and rarely half as fast.
LOW, HIGH = 0.6, 1.3
FLOAT_BYTES = 4
# What two threads gain over one, as a share of twice the speed.
PARALLEL = 0.9
# An active pair is four sums over d_in, at this share of a product's speed.
PAIR_SUMS, PAIR_SHARE = 4, 0.19
# L0 where none is asked for: what it usually comes down to.
USUAL_L0 = 100
# The clipping of the gradient, and Adam.
WEIGHT_PASSES = 7
# SAELens's step over the sparse one: between 9 and 24 where both were timed.
DENSE_OVER_SPARSE = 12


class _Cost(NamedTuple):
    """Passes over [batch, d_sae], and how often an active pair is gone through."""

    passes: float
    pairs: float


_COSTS: dict[Architecture, _Cost] = {
    "standard": _Cost(1.5, 1),
    "topk": _Cost(3.5, 1),
    "batchtopk": _Cost(3, 1),
    "jumprelu": _Cost(1.5, 2.2),
    "gated": _Cost(1.5, 1.8),
    "matryoshka_batchtopk": _Cost(3, 1),
}
# Of one that only SAELens's step trains: what most have, `DENSE_OVER_SPARSE` times.
_USUAL_COST = _Cost(1.5, 1)


@dataclass(frozen=True)
class Speed:
    """Of this machine: products (floating-point operations a second, of one core),
    memory (bytes a second of reading and writing), and the model (tokens a second up to
    the hook, on all cores)."""

    product_flops: float
    pass_bytes: float
    model_tokens: float
    n_cores: int


@dataclass(frozen=True)
class Estimate:
    """Memory at its peak, and low and high guesses of speed and time of the training.

    What comes before (loading, the norm) and after (evaluation, index) is not in the
    time. They were corrected by what earlier runs took: `times` as long as the
    machine's speed alone says, `more_bytes` beyond what the shapes say.
    """

    memory_bytes: int
    tokens_per_s: tuple[float, float]
    seconds: tuple[float, float]
    times: float = 1.0
    more_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> "Estimate | None":
        """What `to_json` wrote; None for anything else."""
        match data:
            case {
                "memory_bytes": memory_bytes,
                "tokens_per_s": [slow, fast],
                "seconds": [short, long],
            }:
                found = (memory_bytes, slow, fast, short, long)
                if all(is_number_within(each, float, 0, MAX_WHOLE) for each in found):
                    return cls(int(memory_bytes), (slow, fast), (short, long))
        return None


def measure(
    model: "LoadedModel",
    hook_name: str,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Measures this machine for about two seconds.

    The best of each counts: what else the machine does now, `estimate` hears of apart.

    Raises:
        InputError: the model has no such hook.
    """
    import torch

    from tinysae.model.blas import PRODUCTS, choose_product, one_thread
    from tinysae.model.forward import activations

    def rate(work: Callable[[], object], amount: float) -> float:
        work()
        best, end = math.inf, clock() + MEASURE_S
        while (started := clock()) < end:
            work()
            best = min(best, clock() - started)
        return amount / best

    product = PRODUCTS[choose_product()]
    weights = torch.randn(PRODUCT_ROWS, PRODUCT_WIDTH).numpy()
    inputs = torch.randn(PRODUCT_TOKENS, PRODUCT_WIDTH).numpy()
    flops = 2.0 * PRODUCT_ROWS * PRODUCT_TOKENS * PRODUCT_WIDTH
    long = torch.randn(PASS_SIZE)
    tokens = torch.randint(model.d_vocab, (CONTEXTS, min(CONTEXT_SIZE, model.n_ctx)))
    with torch.inference_mode():
        with one_thread():
            product_flops = rate(lambda: product(weights, inputs), flops)
        return Speed(
            product_flops=product_flops,
            pass_bytes=rate(long.relu_, 2.0 * FLOAT_BYTES * PASS_SIZE),
            model_tokens=rate(
                lambda: activations(model, tokens, hook_name), tokens.numel()
            ),
            n_cores=torch.get_num_threads(),
        )


def estimate(
    config: TrainConfig,
    speed: Speed,
    d_in: int,
    n_parameters: int,
    *,
    times: float = 1.0,
    more_bytes: int = 0,
    others: float = 0.0,
) -> Estimate:
    """Memory, speed and time of `config` on activations of width `d_in`.

    Args:
        times, more_bytes: what earlier runs on this machine took, beside what was
            expected (`tinysae.runs.experience`).
        others: cores that other programs keep busy now. They may be done soon, so they
            only make the worst case worse.
    """
    batch = config.train_batch_size_tokens
    seconds_a_step = step_seconds(config, speed, d_in) + batch / speed.model_tokens
    seconds_a_step *= times
    low, high = LOW / (1 + others / speed.n_cores), HIGH
    seconds = seconds_a_step * config.total_training_steps
    rate = batch / seconds_a_step
    return Estimate(
        memory_bytes=memory_bytes(config, d_in, n_parameters) + more_bytes,
        tokens_per_s=(rate * low, rate * high),
        seconds=(seconds / high, seconds / low),
        times=times,
        more_bytes=more_bytes,
    )


def step_seconds(config: TrainConfig, speed: Speed, d_in: int) -> float:
    cost = _COSTS.get(config.architecture, _USUAL_COST)
    batch = config.train_batch_size_tokens
    l0 = asked_l0(config) or min(USUAL_L0, config.d_sae)
    product = 2 * batch * config.d_sae * d_in
    pairs = 2 * PAIR_SUMS * cost.pairs * batch * l0 * d_in
    cores = 1 + PARALLEL * (speed.n_cores - 1)
    passes = (
        cost.passes * batch * config.d_sae + WEIGHT_PASSES * 2 * config.d_sae * d_in
    )
    sparse = (product + pairs / PAIR_SHARE) / (speed.product_flops * cores)
    sparse += FLOAT_BYTES * passes / speed.pass_bytes
    has_sparse = config.architecture in _COSTS
    is_sparse = has_sparse and config.dtype == "float32" and config.lp_norm == 1
    return sparse * (1 if is_sparse else DENSE_OVER_SPARSE)


def memory_bytes(config: TrainConfig, d_in: int, n_parameters: int) -> int:
    """Memory that the run's worker takes at its peak."""
    n_floats = n_parameters + sum(floats(config, d_in).values())
    return LIBRARIES_BYTES + FLOAT_BYTES * n_floats


def floats(config: TrainConfig, d_in: int) -> dict[str, int]:
    """Numbers that are held because of a setting."""
    batch = config.train_batch_size_tokens
    return {
        "d_sae": WEIGHT_COPIES * 2 * config.d_sae * d_in,
        "train_batch_size_tokens": STEP_COPIES * batch * config.d_sae,
        "n_batches_in_buffer": BLOCKS * config.n_batches_in_buffer * batch * d_in // 2,
    }


def check_memory(
    config: TrainConfig, d_in: int, n_parameters: int, device: str = "cpu"
) -> None:
    """Refuses a run that this machine, or its GPU, cannot hold.

    Raises:
        SettingError: it needs more memory than `device` has; the setting that asks for
            most of it is named.
    """
    needed = memory_bytes(config, d_in, n_parameters)
    there = memory_of(device)
    if needed <= there:
        return
    most = floats(config, d_in)
    field = max(most, key=lambda name: most[name])
    raise SettingError(
        "setting_memory",
        field=field,
        value=getattr(config, field),
        needed=round(needed / 1e9, 1),
        there=round(there / 1e9, 1),
    )


def memory_of(device: str) -> int:
    """All of it, not what is free just now; MPS shares the machine's."""
    import psutil
    import torch

    if device == "cuda":
        return torch.cuda.mem_get_info()[1]
    return psutil.virtual_memory().total
