"""Where a training's curves go besides its rows, and under which names."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tinysae.sae.step.result import StepResult


class Tracker(Protocol):
    """Takes what SAELens would log."""

    def wants(self, step: int) -> bool:
        """Whether this step is one that is logged."""
        ...

    def log(self, values: Mapping[str, Any], step: int) -> None: ...

    def close(self) -> None:
        """Waits a little for what is not sent yet; never raises."""
        ...


class Trackers:
    """Several at once, or none: each takes what any of them wants."""

    def __init__(self, trackers: Iterable[Tracker] = ()) -> None:
        self._trackers = list(trackers)

    def wants(self, step: int) -> bool:
        return any(tracker.wants(step) for tracker in self._trackers)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        for tracker in self._trackers:
            tracker.log(values, step)

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.close()


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
