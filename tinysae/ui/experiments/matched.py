"""Two SAEs matched: computed once for all sessions, with a bar while it takes long."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tinysae.features.matching import Matching, match
from tinysae.library.feature_source import FeatureSource
from tinysae.ui.shell.cache import feature_index, loaded_model, loaded_sae, shared
from tinysae.ui.shell.i18n import t

if TYPE_CHECKING:
    from tinysae.features.firing_together import FiringTogether

T = TypeVar("T")

# What is over sooner needs no bar.
PATIENCE_S = 1.0
# Tokens that are read to see what fires together: a feature on one in a thousand of
# them fires 32 times.
FIRING_TOKENS = 32_768
# Pairs whose firing is counted; the nearest of each fate come first.
MOST_PAIRS = 20_000


class Firing:
    """The pairs of features that were looked at, and how they fire.

    pairs [n, 2]: the one's feature and the other's.
    """

    def __init__(
        self, pairs: NDArray[np.int64], counts: "FiringTogether", text: str
    ) -> None:
        self.counts, self.text = counts, text
        phi = counts.phi().tolist()
        self.phi = dict(zip(map(tuple, pairs.tolist()), phi, strict=True))


@shared(6)
def _kept(one: FeatureSource, other: FeatureSource) -> dict[str, Any]:
    """What is known of the two, to be filled: a cached function may draw no bar."""
    del one, other
    return {}


def matching_of(one: FeatureSource, other: FeatureSource) -> Matching:
    """The features of two SAEs, matched.

    Raises:
        MissingError, DamagedError: from `load_sae`.
    """
    kept = _kept(one, other)
    if "matching" not in kept:
        first, second = (_decoder(source) for source in (one, other))
        kept["matching"] = _with_bar(lambda tell: match(first, second, tell))
    return kept["matching"]


def has_firing(one: FeatureSource, other: FeatureSource) -> bool:
    """Whether that was counted already."""
    return "firing" in _kept(one, other)


def firing_of(one: FeatureSource, other: FeatureSource) -> Firing:
    """How the matched features fire on the text of the first one's index.

    Raises:
        TinysaeError: the index, an SAE or the model cannot be read, or do not fit.
    """
    from tinysae.features.firing_together import firing_together

    kept = _kept(one, other)
    if "firing" not in kept:
        index, model = feature_index(one), loaded_model(one.model)
        pairs = pairs_of(matching_of(one, other))
        chunks = list(index.text(-(-FIRING_TOKENS // index.info.context_size)))
        saes = (loaded_sae(one), loaded_sae(other))
        counts = _with_bar(
            lambda tell: firing_together(saes, model, chunks, pairs, tell)
        )
        kept["firing"] = Firing(pairs, counts, index.info.text)
    return kept["firing"]


def pairs_of(matching: Matching) -> NDArray[np.int64]:
    """The pairs that the page shows: each other's nearest, and whatever lies near."""
    first, second = matching.sides
    mutual = np.flatnonzero(first.is_mutual).tolist()
    found = dict.fromkeys((n, int(first.nearest[n])) for n in mutual)
    near = [(n, each.feature) for n, all_ in first.near.items() for each in all_]
    near += [(each.feature, n) for n, all_ in second.near.items() for each in all_]
    pairs = list(found | dict.fromkeys(near))[:MOST_PAIRS]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _decoder(source: FeatureSource) -> NDArray[np.float32]:
    return loaded_sae(source).W_dec.detach().cpu().numpy()


def _with_bar(work: Callable[[Callable[[float], object]], T]) -> T:
    place, began = st.empty(), time.monotonic()

    def tell(share: float) -> None:
        if time.monotonic() - began > PATIENCE_S:
            place.progress(share, t("experiments.matching"))

    try:
        return work(tell)
    finally:
        place.empty()
