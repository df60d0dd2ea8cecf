"""The batches that an SAE is trained on: text -> activations, shuffled, counted."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tinysae.config import TrainConfig
from tinysae.data.activations import activation_batches, shuffled
from tinysae.data.corpus import token_chunks

if TYPE_CHECKING:
    from torch import Tensor

    from tinysae.model.sources import LoadedModel


class TrainingBatches:
    """Shuffled batches of shape [train_batch_size_tokens, d_in], counted."""

    def __init__(
        self, config: TrainConfig, model: "LoadedModel", start: int = 0
    ) -> None:
        self.n_read = start
        self._config, self._model = config, model
        self._batches = shuffled(
            self._parts_from,
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
        return next(self._batches).to(getattr(torch, self._config.dtype))

    def close(self) -> None:
        """Stops the reading ahead; there are no more batches after this."""
        self._batches.close()

    def _parts_from(self, part: int) -> Iterator["Tensor"]:
        config, model = self._config, self._model
        contexts = token_chunks(
            model,
            config.text,
            config.context_size,
            seed=config.seed,
            start=part * config.store_batch_size_prompts,
        )
        return activation_batches(
            model,
            contexts,
            config.hook_name,
            config.store_batch_size_prompts,
            exclude_special_tokens=config.exclude_special_tokens,
        )
