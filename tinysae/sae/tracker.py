"""Where a training's curves go besides its rows, and under which names."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tinysae.sae.step.result import StepResult

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Takes what SAELens would log. What it raises ends it, and not the training."""

    def wants(self, step: int) -> bool:
        """Whether this step is one that is logged."""
        ...

    def log(self, values: Mapping[str, Any], step: int) -> None: ...

    def close(self) -> None:
        """Waits a little for what is not sent yet."""
        ...


class Trackers:
    """Several at once, or none."""

    def __init__(self, trackers: Iterable[Tracker] = ()) -> None:
        self._trackers = list(trackers)
        self._asked: list[Tracker] = []

    def wants(self, step: int) -> bool:
        """Whether any logs this step; what is logged next goes to those that do."""
        self._asked = [each for each in self._trackers if each.wants(step)]
        return bool(self._asked)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """To those that were just asked, or, unasked, to all."""
        hear, self._asked = self._asked or list(self._trackers), []
        for tracker in hear:
            self._tell(tracker, lambda tracker: tracker.log(values, step))

    def close(self) -> None:
        for tracker in list(self._trackers):
            self._tell(tracker, lambda tracker: tracker.close())

    def _tell(self, tracker: Tracker, what: Callable[[Tracker], None]) -> None:
        try:
            what(tracker)
        except Exception as problem:
            self._trackers.remove(tracker)
            warn_of_end(type(tracker).__name__, problem)


def warn_of_end(name: str, problem: BaseException) -> None:
    """Says in the log that a tracker gets nothing more."""
    # Its kind only: a message could quote what it was called with.
    logger.warning("nothing more goes to %s: %s", name, type(problem).__name__)


def step_log(trainer: Any, result: "StepResult") -> dict[str, float]:
    """What `SAETrainer.build_train_step_log_dict` says of the step just taken.

    To be called as there: after the update, before `n_training_steps` grows.
    """
    x = result.sae_in.float()
    variance = (x - x.mean(0)).pow(2).sum(-1)
    legacy = 1 - result.squared_error().to(x.device) / variance
    # The only one of SAELens's modules' own metrics.
    threshold = getattr(trainer.sae, "topk_threshold", None)
    own = {} if threshold is None else {"metrics/topk_threshold": float(threshold)}
    return {
        "losses/overall_loss": result.loss,
        "metrics/explained_variance_legacy": legacy.mean().item(),
        "metrics/explained_variance_legacy_std": legacy.std().item(),
        "metrics/explained_variance": result.explained_variance(),
        "metrics/l0": result.l0(),
        "sparsity/mean_passes_since_fired": (
            trainer.n_forward_passes_since_fired.mean().item()
        ),
        "sparsity/dead_features": trainer.dead_neurons.sum().item(),
        "details/current_learning_rate": trainer.optimizer.param_groups[0]["lr"],
        "details/n_training_samples": trainer.n_training_samples,
        **{
            f"details/{name}_coefficient": scheduler.value
            for name, scheduler in trainer.coefficient_schedulers.items()
        },
        **{f"losses/{name}": value for name, value in result.losses.items()},
        **own,
    }
