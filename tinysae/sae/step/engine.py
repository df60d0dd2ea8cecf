"""Which step trains: ours, with numba or without, or SAELens's own; and why.

The step itself is `sae.step.pairs`. The choice decides a run's last bits, so that it
is kept with the run.
"""

import logging
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinysae.model.blas import choose_product

if TYPE_CHECKING:
    from tinysae.sae.step.pairs import SAELensStep, SparseStep

logger = logging.getLogger(__name__)


class EngineChoice(NamedTuple):
    """Which step trains, and what decides its last bits; kept with the run.

    Attributes:
        name: "sparse (numba)", "sparse (torch)" or "dense (SAELens)".
        reason: why not a faster one, one of `REASONS`; empty when it is the fastest.
        product: the library of the encoder's product (`tinysae.model.blas`); empty when
            SAELens trains.
    """

    name: str
    reason: str
    product: str

    def to_json(self) -> dict[str, str]:
        """What a run keeps of it, beside what else it is made with."""
        return dict(zip(_KEPT_AS, self, strict=True))

    @classmethod
    def from_json(cls, made_with: Mapping[str, Any]) -> "EngineChoice | None":
        """What a run has kept; None when it has not (all of) it."""
        kept: list[Any] = [made_with.get(key) for key in _KEPT_AS]
        return cls(*kept) if all(isinstance(value, str) for value in kept) else None


_KEPT_AS = ("engine", "engine_reason", "encoder_product")
REASONS = (
    *("device", "dtype", "architecture", "lp_norm", "normalization", "optimizer"),
    *("no_numba", "numba_fails"),
)
DENSE = "dense (SAELens)"
# Where a run keeps `dense_step_seconds`.
DENSE_STEP = "dense_step_seconds"


def choose_engine(trainer: Any, before: EngineChoice | None = None) -> EngineChoice:
    """The fastest step for SAELens's `trainer`; `before` is what the run began with,
    which is kept where possible, so that a resumed run gives the same bits."""
    from tinysae.sae.step.losses import STEPS

    if reason := _needs_saelens(trainer, STEPS):
        return EngineChoice(DENSE, reason, "")
    if before is not None and before.name == DENSE:
        return before
    name, reason = "sparse (numba)", ""
    if before is not None and before.name == "sparse (torch)":
        name, reason = before.name, before.reason
    elif problem := numba_problem():
        name, reason = "sparse (torch)", problem
    return EngineChoice(name, reason, choose_product(before and before.product))


def make_step(trainer: Any, choice: EngineChoice) -> "SparseStep | SAELensStep":
    """The step that was chosen, on `trainer`."""
    from tinysae.sae.step.losses import STEPS
    from tinysae.sae.step.pairs import SAELensStep

    if choice.name == DENSE:
        return SAELensStep(trainer)
    kernels = load_kernels(choice.name == "sparse (numba)")
    return STEPS[trainer.sae.cfg.architecture()](trainer, choice.product, kernels)


def _needs_saelens(trainer: Any, known: dict[str, Any]) -> str:
    """Why only SAELens's own step will do; empty when ours computes the same."""
    import torch

    sae = trainer.sae
    cfg, optimizer = sae.cfg, trainer.optimizer.param_groups[0]
    if sae.device.type != "cpu":
        return "device"
    if trainer.cfg.autocast or any(p.dtype != torch.float32 for p in sae.parameters()):
        return "dtype"
    if cfg.architecture() not in known:
        return "architecture"
    if getattr(cfg, "lp_norm", 1) != 1:
        # The gradient of |a|_p for p != 1 asks for each token's norm first.
        return "lp_norm"
    if cfg.normalize_activations in ("layer_norm", "constant_norm_rescale"):
        return "normalization"
    if any(optimizer[name] for name in ("weight_decay", "amsgrad", "maximize")):
        return "optimizer"
    return ""


@cache
def numba_problem() -> str:
    """Why the compiled kernels are not to be had; empty when they are.

    Takes some seconds the first time on a machine, while they are compiled.
    """
    try:
        warm_up(load_kernels(compiled=True))
    except ImportError:
        return "no_numba"
    except Exception:
        # Whatever the compiler stumbles over: the run goes on without it.
        logger.warning("numba fails", exc_info=True)
        return "numba_fails"
    return ""


def load_kernels(compiled: bool) -> ModuleType:
    """The kernels with numba, or those without.

    Raises:
        ImportError: numba is missing.
    """
    if compiled:
        from tinysae.sae.step import kernels

        return kernels
    from tinysae.sae.step import kernels_torch

    return kernels_torch


def warm_up(kernels: ModuleType) -> None:
    """Compiles every kernel, by a tiny computation whose result is checked.

    Raises:
        ArithmeticError: the result is wrong.
    """
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal((n, 5), dtype=np.float32) for n in (130, 3))
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    room, first = 3 * len(x), np.zeros(4, np.int64)
    token, value = np.empty(room, np.int32), np.empty(room, np.float32)
    product = np.ascontiguousarray(w @ x.T)
    kernels.compress(product, zero, one, zero, token, value, first)
    out = np.zeros_like(x)
    kernels.decode(first, token, value, w, out, 0, 5)
    pulled, g = np.empty_like(value), np.empty_like(w)
    kernels.pull(first, token, value, x, w, zero, pulled, g)
    kernels.push(first, token, pulled, zero, x, g, np.empty_like(zero))
    kernels.row_sums(first, value, np.empty_like(zero))
    kernels.row_squares(w, np.empty_like(zero))
    kth, ties = kernels.kth_largest(value[: first[-1]], 2)
    kernels.keep_largest(first.copy(), token.copy(), value.copy(), kth, ties)
    kernels.adam(*(a.reshape(-1).copy() for a in (w, w * w, w * w, g)), *[0.5] * 6)
    rows = np.empty((len(x), 3), np.int32), np.empty((len(x), 3), np.float32)
    count = np.empty(len(x), np.int64)
    kernels.topk_rows(product.T.copy(), zero, one, 2, 0.0, *rows, count)
    begins = np.zeros(4, np.int64)
    n = int(count.sum())
    kernels.to_columns(*rows, count, begins, token[:n].copy(), value[:n].copy())
    if not np.allclose(out, np.maximum(x @ w.T, 0) @ w, rtol=1e-4, atol=1e-4):
        raise ArithmeticError("a kernel's result is wrong")
