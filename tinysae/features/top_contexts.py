"""The contexts in which each feature is strongest, found and kept in one pass."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinysae.features.statistics import ActivePairs, FloatArray, IntArray


class Contexts(NamedTuple):
    """Every feature's strongest contexts, strongest first; a missing one is chunk -1.

    chunk, position [d_sae, k]: which chunk of the corpus, and where in it the feature
    is strongest. The feature's non-zero activations in context `c` of feature `f` are
    active_position and active_value from offset[f * k + c] to offset[f * k + c + 1].
    """

    chunk: NDArray[np.int32]
    position: NDArray[np.int32]
    offset: IntArray
    active_position: NDArray[np.int32]
    active_value: FloatArray


class TopContexts:
    """The k chunks in which each feature is strongest: one context a chunk.

    Of equals, the earlier chunk and the earlier position win. The activations inside a
    kept chunk are kept with it, so that nothing is run a second time.
    """

    # Below this, what is no longer needed is not worth looking for.
    _SMALL_POOL = 1 << 20

    def __init__(self, d_sae: int, k: int) -> None:
        self.k = k
        self._value = np.zeros((d_sae, k), dtype=np.float32)
        self._chunk = np.full((d_sae, k), -1, dtype=np.int64)
        self._position = np.zeros((d_sae, k), dtype=np.int64)
        # A kept context's activations lie in the pool under its slot number.
        self._slot = np.full((d_sae, k), -1, dtype=np.int64)
        self._n_slots = 0
        self._pool = _Pool.empty()
        self._new: list[_Pool] = []
        self._n_new = 0

    def add(
        self, pairs: ActivePairs, first_chunk: int, n_chunks: int, context_size: int
    ) -> None:
        """Takes the pairs of the next `n_chunks` chunks, from `first_chunk` on."""
        d_sae = len(self._value)
        position = pairs.row % context_size
        group = pairs.feature * n_chunks + pairs.row // context_size
        best = np.zeros(d_sae * n_chunks, dtype=np.float32)
        np.maximum.at(best, group, pairs.value)
        # Assigned from the last to the first: of equals, the first stays.
        is_best = np.flatnonzero(pairs.value == best[group])[::-1]
        best_position = np.zeros(d_sae * n_chunks, dtype=np.int64)
        best_position[group[is_best]] = position[is_best]
        slots = self._merge(
            best.reshape(d_sae, n_chunks),
            best_position.reshape(d_sae, n_chunks),
            first_chunk,
        )
        slot = slots.ravel()[group]
        kept = np.flatnonzero(slot >= 0)
        self._new.append(_Pool(slot[kept], position[kept], pairs.value[kept]))
        self._n_new += len(kept)
        if self._n_new > max(self._SMALL_POOL, len(self._pool.slot)):
            self._compact()

    def _merge(
        self, best: FloatArray, best_position: IntArray, first_chunk: int
    ) -> IntArray:
        """Keeps each feature's k best of old and new.

        Returns the slots of the new ones [d_sae, n_chunks]; -1 for those not kept.
        """
        slots = np.full(best.shape, -1, dtype=np.int64)
        rows = np.flatnonzero((best > self._value[:, -1:]).any(axis=1))
        values = np.concatenate([self._value[rows], best[rows]], axis=1)
        # Stable, and older contexts stand first: of equals, the earlier chunk stays.
        order = np.argsort(-values, axis=1, kind="stable")[:, : self.k]
        value = np.take_along_axis(values, order, axis=1)
        new_chunk = order - self.k
        is_new = (new_chunk >= 0) & (value > 0)
        at_row, at_rank = np.nonzero(is_new)
        column = new_chunk[at_row, at_rank]
        new_slots = self._n_slots + np.arange(len(at_row))
        self._n_slots += len(at_row)
        slots[rows[at_row], column] = new_slots

        old = np.where(order < self.k, order, 0)
        for state, fresh in (
            (self._chunk, first_chunk + column),
            (self._position, best_position[rows[at_row], column]),
            (self._slot, new_slots),
        ):
            taken = np.take_along_axis(state[rows], old, axis=1)
            taken[is_new] = fresh
            state[rows] = taken
        self._value[rows] = value
        return slots

    def _compact(self) -> None:
        alive = np.zeros(self._n_slots + 1, dtype=bool)
        alive[self._slot.ravel()] = True
        alive[-1] = False  # where slot -1 pointed
        whole = _Pool.joined([self._pool, *self._new])
        self._pool = whole.at(np.flatnonzero(alive[whole.slot]))
        self._new = []
        self._n_new = 0

    def result(self) -> Contexts:
        """What has been kept, ready to be written."""
        self._compact()
        d_sae = len(self._value)
        rank_of_slot = np.zeros(self._n_slots, dtype=np.int64)
        is_kept = self._slot >= 0
        rank_of_slot[self._slot[is_kept]] = np.flatnonzero(is_kept.ravel())
        rank = rank_of_slot[self._pool.slot]
        # Stable: inside a context, positions stay in their order.
        ordered = self._pool.at(np.argsort(rank, kind="stable"))
        offset = np.zeros(d_sae * self.k + 1, dtype=np.int64)
        np.cumsum(np.bincount(rank, minlength=d_sae * self.k), out=offset[1:])
        return Contexts(
            self._chunk.astype(np.int32),
            np.where(is_kept, self._position, 0).astype(np.int32),
            offset,
            ordered.position.astype(np.int32),
            ordered.value,
        )


class _Pool(NamedTuple):
    """Activations of kept contexts: slot, position in the chunk, value; each [n]."""

    slot: IntArray
    position: IntArray
    value: FloatArray

    @classmethod
    def empty(cls) -> "_Pool":
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, np.empty(0, dtype=np.float32))

    @classmethod
    def joined(cls, parts: list["_Pool"]) -> "_Pool":
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def at(self, index: IntArray) -> "_Pool":
        return _Pool(self.slot[index], self.position[index], self.value[index])
