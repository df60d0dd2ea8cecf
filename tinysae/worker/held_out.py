"""The part of a text that no SAE is trained on, as the stages of a worker read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tinysae.config import TextChoice, TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinysae.model.sources import LoadedModel

# Held-out text has seeds of its own, so that every SAE is measured on the same text.
EVALUATION_SEED, INDEX_SEED = 1_000_003, 1_000_033
# Features are chosen for concepts on one half of the stories, and scored on the other.
CHOOSING_SEED, REPORTING_SEED = 1_000_037, 1_000_039


@dataclass(frozen=True)
class HeldOut:
    """Which text, and in contexts of how many tokens."""

    text: TextChoice
    context_size: int

    @classmethod
    def of(cls, config: TrainConfig) -> "HeldOut":
        """What is held out of the text that a run trains on."""
        return cls(config.text, config.context_size)

    @classmethod
    def by_default(cls) -> "HeldOut":
        """What an SAE from elsewhere is read on, whatever it was trained on."""
        return cls.of(TrainConfig())

    def contexts(
        self, model: "LoadedModel", seed: int, n_tokens: int
    ) -> Iterator["NDArray[np.int32]"]:
        """Contexts [context_size], of `n_tokens` tokens together or a few more."""
        from tinysae.data.corpus import token_chunks

        chunks = token_chunks(
            model, self.text, self.context_size, seed=seed, held_out=True
        )
        return islice(chunks, -(-n_tokens // self.context_size))
