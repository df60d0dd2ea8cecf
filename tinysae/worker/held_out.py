"""The part of a text that no SAE is trained on, as the stages of a worker read it."""

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tinysae.config import TextChoice, TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tinysae.library.saved import AnySAE
    from tinysae.model.sources import LoadedModel

# Held-out text has seeds of its own, so that every SAE is measured on the same text.
EVALUATION_SEED, INDEX_SEED = 1_000_003, 1_000_033
# Features are chosen for concepts on one half of the stories, and scored on the other.
CHOOSING_SEED, REPORTING_SEED = 1_000_037, 1_000_039


@dataclass(frozen=True)
class HeldOut:
    """Which text, and in contexts of how many tokens.

    is_unseen: whether the SAE is known not to have been trained on it: of an SAE from
    elsewhere nobody knows, whatever is kept apart here.
    """

    text: TextChoice
    context_size: int
    is_unseen: bool = True

    @classmethod
    def of(cls, config: TrainConfig) -> "HeldOut":
        """What is held out of the text that a run trains on."""
        return cls(config.text, config.context_size)

    @classmethod
    def of_sae(cls, sae: "AnySAE") -> "HeldOut":
        """What an SAE is measured and indexed on: of a run's, what it did not train on;
        of one from elsewhere, the same part of the text that was chosen for it."""
        from tinysae.library.saved import SavedSAE
        from tinysae.library.saved_text import text_of

        if not isinstance(sae, SavedSAE):
            return cls.of(sae.config)
        text, run = text_of(sae), sae.run
        is_unseen = run is not None and run.config.text == text
        return cls(text, TrainConfig().context_size, is_unseen)

    def contexts(
        self, model: "LoadedModel", seed: int, n_tokens: int
    ) -> list["NDArray[np.int32]"]:
        """Contexts [context_size], of `n_tokens` tokens together or a few more; fewer
        where the text ends before."""
        from tinysae.data.corpus import token_chunks

        chunks = token_chunks(
            model, self.text, self.context_size, seed=seed, held_out=True
        )
        return list(islice(chunks, -(-n_tokens // self.context_size)))
