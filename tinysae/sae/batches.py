"""The batches that an SAE is trained on: text -> activations, shuffled, counted."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tinysae.config import TrainConfig
from tinysae.data.activations import batches_of_hooks, shuffled
from tinysae.data.branches import Branches
from tinysae.data.corpus import token_chunks

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


class TrainingBatches:
    """Shuffled batches of shape [train_batch_size_tokens, d_in], counted.

    Args:
        config: the settings.
        model: whose activations.
        start: batches that are passed over.
        parts_from: the parts of the stream from the n-th on, where somebody else makes
            them.
        leave: tells them that no more parts are wanted.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: "LoadedModel",
        start: int = 0,
        parts_from: "Callable[[int], Iterator[Tensor]] | None" = None,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        self.config, self.model, self.n_read = config, model, start
        self._leave = leave
        self._batches = shuffled(
            parts_from or self._parts_from,
            rows_a_part=config.store_batch_size_prompts * config.context_size,
            batch_size=config.train_batch_size_tokens,
            n_batches_in_buffer=config.n_batches_in_buffer,
            seed=config.seed,
            start=start,
        )

    def __iter__(self) -> Iterator["Tensor"]:
        return self

    def __next__(self) -> "Tensor":
        import torch

        self.n_read += 1
        # SAELens casts them only in some architectures: a gated SAE in bfloat16 fails.
        return next(self._batches).to(getattr(torch, self.config.dtype))

    def close(self) -> None:
        """Stops the reading ahead; there are no more batches after this."""
        self._batches.close()
        self._leave()

    def _parts_from(self, part: int) -> Iterator["Tensor"]:
        for (acts,) in _parts(self.config, self.model, [self.config.hook_name], part):
            yield acts


def read_together(batches: Sequence[TrainingBatches]) -> list[TrainingBatches]:
    """The same batches, of settings that differ in their hooks at most and are equally
    far: one forward of the model makes the activations of all."""
    config, model = batches[0].config, batches[0].model
    hook_names = [each.config.hook_name for each in batches]
    branches = Branches(
        lambda part: _parts(config, model, hook_names, part), len(hook_names)
    )
    return [
        TrainingBatches(
            *(each.config, model, each.n_read),
            parts_from=partial(branches.branch, at),
            leave=partial(branches.leave, at),
        )
        for at, each in enumerate(batches)
    ]


def _parts(
    config: TrainConfig, model: "LoadedModel", hook_names: Sequence[str], part: int
) -> "Iterator[list[Tensor]]":
    """From the `part`-th on, the hooks' activations on each part of the text."""
    contexts = token_chunks(
        *(model, config.text, config.context_size),
        seed=config.seed,
        start=part * config.store_batch_size_prompts,
    )
    return batches_of_hooks(
        *(model, contexts, hook_names, config.store_batch_size_prompts),
        exclude_special_tokens=config.exclude_special_tokens,
    )
