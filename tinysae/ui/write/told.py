"""A text that is shown: its tokens, their figures, and what was at work in it.

One that came with tinysae needs no model in memory; any other is read by the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import streamlit as st

from tinysae.features.index.search import ActiveFeature
from tinysae.library.shipped import STORYBOOK_FEATURES_DIR
from tinysae.library.shipped_stories import ShippedStories, ShippedStory
from tinysae.model.sources import STORYBOOK
from tinysae.model.text.logprobs import TokenStats
from tinysae.ui.shell.cache import stories, text_figures, vocabulary

if TYPE_CHECKING:
    from tinysae.model.loaded import LoadedModel
    from tinysae.model.text.vocabulary import Vocabulary


class Reader(Protocol):
    """What a text's tokens are called: a `LoadedModel`, or what came with tinysae."""

    @property
    def source(self) -> str:
        """Whose tokens they are (`model.sources`)."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """What every token stands for by itself."""
        ...

    @property
    def d_vocab(self) -> int:
        """How many tokens there are."""
        ...

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """The pieces of a text."""
        ...

    def token_text(self, token_id: int) -> str:
        """A token by itself."""
        ...


@dataclass(frozen=True)
class ShippedReader:
    """The embedded model's tokens, while the model itself is not loaded."""

    vocabulary: Vocabulary
    source: str = STORYBOOK

    @property
    def d_vocab(self) -> int:
        """How many tokens there are."""
        return len(self.vocabulary)

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """The pieces of a text."""
        return self.vocabulary.texts(ids)

    def token_text(self, token_id: int) -> str:
        """A token by itself."""
        return self.vocabulary.text(token_id)


@dataclass(frozen=True)
class Told:
    """A text with its figures.

    Attributes:
        reader: what its tokens are called.
        stats: of its tokens.
        n_given: how many of them the model was given.
        ended: why the model ended (`StopReason`); None of a text that it did not write.
        begin_at: the word to point at first.
        features: those of the embedded SAE at work at each token, where they came
            along.
    """

    reader: Reader
    stats: TokenStats
    n_given: int
    ended: str | None = None
    begin_at: int = 0
    features: Sequence[Sequence[ActiveFeature]] | None = None

    @property
    def ids(self) -> list[int]:
        """Its tokens."""
        return self.stats.ids.tolist()


def read_by(
    model: LoadedModel, ids: Sequence[int], n_given: int, ended: str | None = None
) -> Told:
    """`ids` as `model` finds them.

    Raises:
        InputError: they do not fit the context.
    """
    stats = text_figures(model, tuple(ids))
    # What surprised the model most of all that it wrote, or of a prompt.
    written = stats.log_prob[n_given:]
    begin_at = n_given + int(written.argmin()) if len(written) else 0
    return Told(model, stats, n_given, ended, begin_at)


@st.cache_resource(show_spinner=False)
def shipped() -> tuple[ShippedStories, list[Told]]:
    """The stories that came with tinysae.

    Raises:
        MissingError, DamagedError: they or the vocabulary cannot be read.
    """
    found = stories()
    reader = ShippedReader(vocabulary(STORYBOOK_FEATURES_DIR))
    return found, [_told(reader, story, found.n_given) for story in found.stories]


def _told(reader: Reader, story: ShippedStory, n_given: int) -> Told:
    def floats(values: Any) -> Any:
        return np.array(values, dtype=np.float32)

    stats = TokenStats(
        ids=np.array(story.ids),
        log_prob=floats(story.log_prob),
        prob=np.exp(floats(story.log_prob)),
        rank=np.array(story.rank),
        entropy=floats(story.entropy),
        top_ids=np.array(story.top_ids),
        top_log_probs=floats(story.top_log_probs),
    )
    features = [
        [ActiveFeature(int(feature), float(act)) for feature, act in at]
        for at in story.features
    ]
    return Told(reader, stats, n_given, story.ended, story.begin_at, features)
