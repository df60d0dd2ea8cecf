"""Which step trains: ours or SAELens's own, and why.

The choice decides a run's last bits, so that it is kept with the run.
"""

import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tinysae.model.blas import choose_product
from tinysae.words import text

if TYPE_CHECKING:
    from tinysae.sae.step.saelens import SAELensStep
    from tinysae.sae.step.sparse import SparseStep

logger = logging.getLogger(__name__)


class EngineChoice(NamedTuple):
    """Which step trains, and what decides its last bits; kept with the run.

    Attributes:
        name: `SPARSE` or `DENSE`; in an old run's records another one, of a time when
            there were more.
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

    def in_words(self) -> str:
        """What the run's log says of it."""
        way = "dense" if self.name == DENSE else "sparse"
        said = [text(f"train.engine_{way}", "en")]
        if self.reason:
            said.append(text(f"train.engine_why_{self.reason}", "en"))
        if self.product:
            said.append(f"Its matrix products are computed with {self.product}.")
        return " ".join(said)

    @classmethod
    def from_json(cls, made_with: Mapping[str, Any]) -> "EngineChoice | None":
        """What a run has kept; None when it has not (all of) it."""
        kept: list[Any] = [made_with.get(key) for key in _KEPT_AS]
        return cls(*kept) if all(isinstance(value, str) for value in kept) else None


_KEPT_AS = ("engine", "engine_reason", "encoder_product")
REASONS = (
    *("device", "dtype", "architecture", "lp_norm", "normalization", "optimizer"),
    "numba_fails",
)
SPARSE, DENSE = "sparse (numba)", "dense (SAELens)"
# Where a run keeps `dense_step_seconds`.
DENSE_STEP = "dense_step_seconds"


def choose_engine(trainer: Any, before: EngineChoice | None = None) -> EngineChoice:
    """The fastest step for SAELens's `trainer`; `before` is what the run began with,
    which is kept where possible, so that a resumed run gives the same bits."""
    if reason := _needs_saelens(trainer):
        choice = EngineChoice(DENSE, reason, "")
    elif before is not None and before.name == DENSE:
        choice = before
    elif problem := numba_problem():
        choice = EngineChoice(DENSE, problem, "")
    elif trainer.sae.cfg.architecture() not in _steps():
        choice = EngineChoice(DENSE, "architecture", "")
    else:
        choice = EngineChoice(SPARSE, "", choose_product(before and before.product))
    if before is not None and before.name != choice.name:
        logger.warning(
            "this run began with the step %r and goes on with %r: same formulas, "
            "other last bits",
            *(before.name, choice.name),
        )
    return choice


def make_step(trainer: Any, choice: EngineChoice) -> "SparseStep | SAELensStep":
    """The step that was chosen, on `trainer`."""
    if choice.name == DENSE:
        from tinysae.sae.step.saelens import SAELensStep

        return SAELensStep(trainer)
    return _steps()[trainer.sae.cfg.architecture()](trainer, choice.product)


def _steps() -> "dict[str, type[SparseStep]]":
    # Their modules import numba, which may not work here.
    from tinysae.sae.step.registry import STEPS

    return STEPS


def _needs_saelens(trainer: Any) -> str:
    """Why only SAELens's own step will do; empty when ours computes the same."""
    import torch

    sae = trainer.sae
    cfg, optimizer = sae.cfg, trainer.optimizer.param_groups[0]
    if sae.device.type != "cpu":
        return "device"
    if trainer.cfg.autocast or any(p.dtype != torch.float32 for p in sae.parameters()):
        return "dtype"
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
    """One of `REASONS` if numba does not compile here, or what it makes computes
    something else; empty when all is well.

    Takes some seconds the first time on a machine, while the kernels are compiled.
    """
    try:
        from tinysae.sae.step.kernels.trial import try_kernels

        try_kernels()
    except Exception:
        # Whatever the compiler stumbles over: SAELens can train without it.
        logger.warning("numba fails", exc_info=True)
        return "numba_fails"
    return ""
