"""Trainings side by side: what several of them read is read once."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from tinysae.sae.batches import read_together

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.sae.train import SAETraining


class Together:
    """The batches of trainings whose settings give one stream, but for their hooks.

    A batch of a hook is read once for all trainings at it, and one forward of the model
    serves all hooks. Each training gets what it would read alone.

    Args:
        trainings: equally far, each about to take its next step.
    """

    def __init__(self, trainings: Sequence["SAETraining"]) -> None:
        self._trainings = trainings
        self._leaders: dict[str, SAETraining] = {}
        for training in trainings:
            self._leaders.setdefault(training.config.hook_name, training)
        leaders = list(self._leaders.values())
        if len(leaders) > 1:
            shared = read_together([leader.batches for leader in leaders])
            for leader, batches in zip(leaders, shared, strict=True):
                leader.batches.close()
                leader.batches = batches

    @property
    def leaders(self) -> Collection["SAETraining"]:
        """Of each hook the training that reads for the others."""
        return self._leaders.values()

    @property
    def needs_norm(self) -> bool:
        """Whether `estimate_norm` comes before the first batch."""
        return any(leader.needs_norm for leader in self.leaders)

    def estimate_norm(self, progress: Callable[[int], bool]) -> bool:
        """As that of a training, for all; each hook has its own."""
        return estimate_norms(list(self.leaders), progress)

    def join(self) -> None:
        """From now on all go by their leaders' norms and batches."""
        for training in self._trainings:
            leader = self._leaders[training.config.hook_name]
            if training is not leader:
                training.follow(leader)

    def next_batches(self, hook_names: Iterable[str]) -> "dict[str, Tensor]":
        """Of each of the hooks what the next step is taken on; the others are read no
        more."""
        wanted = set(hook_names)
        for hook_name in self._leaders.keys() - wanted:
            self._leaders.pop(hook_name).batches.close()
        return {hook: leader.next_batch() for hook, leader in self._leaders.items()}


def estimate_norms(
    trainings: Sequence["SAETraining"], progress: Callable[[int], bool]
) -> bool:
    """As `SAETraining.estimate_norm`, of several: their batches are read by turns."""
    norms: list[list[float]] = [[] for _ in trainings]
    n = trainings[0].config.n_batches_for_norm_estimate
    for done in range(1, n + 1):
        for own, training in zip(norms, trainings, strict=True):
            own.append(next(training.batches).norm(dim=-1).mean().item())
        if not progress(done):
            return False
    for own, training in zip(norms, trainings, strict=True):
        training.scale_to(sum(own) / n)
    return True
