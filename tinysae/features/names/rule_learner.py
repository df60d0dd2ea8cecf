"""Learning an index's rules from what it is made of, while that is there."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysae.features.background import in_background
from tinysae.features.names.rules import Rule, rules_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tinysae.features.index.pair_store import PairStore
    from tinysae.features.names.surroundings import Surroundings
    from tinysae.model.text.vocabulary import Vocabulary


class RuleLearner:
    """Learns the rules from what an index is made of, before that is thrown away.

    Args:
        vocabulary, bos_id: the model's.
        has_concepts: whether the text is the storybook, whose concepts are known.
        tell: as in `rules_of`: of an SAE of which much is always on it takes minutes.

    Attributes:
        rules: one a feature, after it was called.
    """

    def __init__(
        self,
        vocabulary: "Vocabulary",
        bos_id: int,
        *,
        has_concepts: bool = False,
        tell: Callable[[float], object] = lambda _: None,
    ) -> None:
        self._vocabulary, self._bos_id = vocabulary, bos_id
        self._has_concepts, self._tell = has_concepts, tell
        self.rules: list[Rule] = []
        self._text: Future[Surroundings] | None = None

    def begin(self, chunks: NDArray[np.int32]) -> None:
        """Looks at the text [n, context_size] already, in a thread of its own, while
        other things are done with it: the store is to have the same."""
        self._text = in_background(self.read, chunks)

    def __call__(self, store: "PairStore") -> None:
        self.rules = rules_of(store, self.text(store), self._tell)

    def text(self, store: "PairStore") -> "Surroundings":
        """What a reader sees in the text that `store` has."""
        if self._text is None:
            return self.read(np.concatenate([shard.tokens for shard in store.shards]))
        return self._text.result()

    def read(self, chunks: NDArray[np.int32]) -> "Surroundings":
        """What a reader sees in contexts [n, context_size]."""
        from tinysae.data.storybook.words import CONCEPTS
        from tinysae.features.names.concept_tokens import concept_tokens
        from tinysae.features.names.surroundings import surroundings

        if not self._has_concepts:
            return surroundings(chunks, self._vocabulary, self._bos_id)
        own = concept_tokens(chunks, self._vocabulary.token_bytes, self._bos_id)
        concepts = np.zeros((chunks.size, own.labels.shape[1]), np.bool_)
        concepts[own.rows] = own.labels
        return surroundings(
            *(chunks, self._vocabulary, self._bos_id, concepts), tuple(CONCEPTS)
        )
