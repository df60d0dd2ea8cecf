"""Learning the rules of features, with a word of how far it is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from tinysae.features.index.pair_store import Band, PairStore
    from tinysae.features.names.rules import RuleLearner


def told(
    learner: "RuleLearner", tell: Callable[[float], object]
) -> Callable[["PairStore"], None]:
    """`learner`, for `build_index` to call; `tell` hears which share of the features
    it has come to, and may raise: of an SAE of which much is always on it takes
    minutes, in which Stop is to be heard."""
    return lambda store: learner(cast("PairStore", _Told(store, tell)))


class _Told:
    """A store of what fires that tells which share of its features was asked for."""

    def __init__(self, store: "PairStore", tell: Callable[[float], object]) -> None:
        self._store, self._tell = store, tell

    def band(self, begin: int, end: int) -> "Band":
        n_features = len(self._store.shards[0].first) - 1
        self._tell(begin / n_features)
        return self._store.band(begin, end)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
