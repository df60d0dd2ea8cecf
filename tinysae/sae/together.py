"""Trainings side by side: what several of them read is read once, and they take their
steps at the same time."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cached_property, partial
from typing import TYPE_CHECKING

from tinysae.model.blas import one_thread
from tinysae.sae.batches import read_together
from tinysae.sae.rows import StepMetrics
from tinysae.sae.step.engine import SPARSE

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.sae.train import SAETraining

# Steps of our own at once: while one does what a single core can, another keeps the
# rest busy; and two need no more memory than one of SAELens's, which is reckoned with.
AT_ONCE = 2


class Together:
    """The batches of trainings whose settings give one stream, but for their hooks.

    A batch of a hook is read once for all trainings at it, and one forward of the model
    serves all hooks. Each training gets what it would read alone.

    Args:
        trainings: equally far, each about to take its next step.
    """

    def __init__(self, trainings: Sequence["SAETraining"]) -> None:
        self._trainings, self._stack = trainings, ExitStack()
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

    def steps(
        self, trainings: Sequence["SAETraining"], batches: "Mapping[str, Tensor]"
    ) -> list[Callable[[], StepMetrics | None]]:
        """A step of each of `trainings` on its hook's batch; what is given for each is
        called once, and does what `SAETraining.step` does.

        Where the steps are our own, `AT_ONCE` are taken at once: their bits depend on
        no threads, as those of SAELens's steps do.
        """
        steps = [
            partial(training.step, batches[training.config.hook_name])
            for training in trainings
        ]
        if self._threads is None or len(steps) < 2:
            return [*steps]
        # As each step has it, so that none of them ends it for the others.
        with one_thread():
            taken = [self._threads.submit(step) for step in steps]
            wait(taken)
        return [step.result for step in taken]

    @cached_property
    def _threads(self) -> ThreadPoolExecutor | None:
        import torch

        if any(training.engine.name != SPARSE for training in self._trainings):
            return None
        threads = ThreadPoolExecutor(min(AT_ONCE, torch.get_num_threads()), "steps")
        return self._stack.enter_context(threads)

    def close(self) -> None:
        """When the last step is taken."""
        self._stack.close()


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
