"""Where each feature is active in the text that was read: `contexts.safetensors`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysae.features.index.format import CONTEXTS_NAME, IndexInfo, damage_in
from tinysae.features.index.records import (
    N_BINS,
    N_GROUPS,
    BinContexts,
    Context,
)
from tinysae.features.index.tensor_file import TensorFile
from tinysae.model.text.vocabulary import Vocabulary


class ContextFile:
    """The contexts of an index in `folder`, read a feature at a time.

    Raises:
        DamagedError: the file is not that of `info`.
    """

    def __init__(self, folder: Path, info: IndexInfo, vocabulary: Vocabulary) -> None:
        self._info, self._vocabulary = info, vocabulary
        with damage_in(CONTEXTS_NAME):
            self._file = TensorFile(folder / CONTEXTS_NAME)
            if self._file.shape("tokens") != [info.n_chunks, info.context_size]:
                raise ValueError("another corpus")

    def text(self, n: int) -> NDArray[np.int32]:
        """The first `n` contexts of the text that was read, or as many as there are:
        token ids `[n, context_size]`.

        Raises:
            DamagedError: they cannot be read.
        """
        with damage_in(CONTEXTS_NAME):
            rows = self._file.rows("tokens", 0, min(n, self._info.n_chunks))
        return rows.astype(np.int32)

    def of(
        self, feature: int, bin_width: float, bin_counts: list[int]
    ) -> tuple[list[Context], list[BinContexts]]:
        """The strongest contexts of a feature, and those of each range of its histogram
        that is not empty, the strongest range first.

        Raises:
            DamagedError: what was read cannot be right.
        """
        n_strongest, n = self._info.contexts_per_feature, self._info.contexts_per_bin
        with damage_in(CONTEXTS_NAME):
            kept = list(self._kept(feature))
            strongest, drawn = kept[:n_strongest], kept[n_strongest:]
            n_fired = np.asarray(bin_counts, np.int64).reshape(N_GROUPS, -1).sum(1)
        width = bin_width * (N_BINS // N_GROUPS)
        groups = [
            BinContexts(
                low=group * width,
                high=(group + 1) * width,
                n_fired=int(n_fired[group]),
                contexts=[c for c in drawn[group * n : (group + 1) * n] if c],
            )
            for group in reversed(np.flatnonzero(n_fired).tolist())
        ]
        return [context for context in strongest if context], groups

    def _kept(self, feature: int) -> Iterator[Context | None]:
        """The strongest ones, then those of each group of bins; None: no further."""
        read, info = self._file, self._info
        chunk = read.row("chunk", feature).tolist()
        position = read.row("position", feature).tolist()
        n_active = read.row("n_active", feature).tolist()
        begin, end = read.rows("offset", feature, feature + 2).tolist()
        active_position = read.rows("active_position", begin, end)
        active_value = read.rows("active_value", begin, end)
        n_places = info.contexts_per_feature + N_GROUPS * info.contexts_per_bin
        if len(chunk) != n_places or sum(n_active) != len(active_value):
            raise ValueError("another number of contexts")
        # Contexts share chunks: each is read, and made text, once.
        chunks = {c for c, n in zip(chunk, n_active, strict=True) if n}
        tokens = {c: read.row("tokens", c) for c in chunks}
        texts = {c: self._vocabulary.texts(row.tolist()) for c, row in tokens.items()}
        ends: list[Any] = np.cumsum(n_active).tolist()
        for c, place, n, to in zip(chunk, position, n_active, ends, strict=True):
            if not n:
                yield None
                continue
            activations = np.zeros(info.context_size, dtype=np.float32)
            activations[active_position[to - n : to]] = active_value[to - n : to]
            yield Context(c, place, tokens[c].astype(np.int64), texts[c], activations)
