"""Reading an index, a feature at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, InputError
from tinysae.features.format import (
    CONTEXTS_NAME,
    FEATURES_NAME,
    ROWS_A_GROUP,
    VOCABULARY_NAME,
    IndexInfo,
    damage_in,
    read_info,
)
from tinysae.features.records import (
    Context,
    FeatureRecord,
    FeatureScore,
    FiringToken,
    Histogram,
    LogitKind,
    TokenFeature,
    TokenLogit,
)
from tinysae.features.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

# Tokens in the table's cells; a feature's own record has all of them.
N_TABLE_TOKENS = 5


def open_index(folder: Path, *, sae_fingerprint: str | None = None) -> "FeatureIndex":
    """The index in `folder`; features are read from it as they are asked for.

    Raises:
        MissingError: there is no index.
        DamagedError: a file of it is damaged, it has another format, or it is not of
            the SAE with `sae_fingerprint`.
    """
    info = read_info(folder)
    if sae_fingerprint not in (None, info.sae_fingerprint):
        raise DamagedError("features_of_another_sae", path=str(folder))
    return FeatureIndex(folder, info)


class FeatureIndex:
    """An open index. Several threads may read from it."""

    def __init__(self, folder: Path, info: IndexInfo) -> None:
        import pyarrow.parquet as pq
        from safetensors import safe_open

        self.info = info
        # Files stay open, so that a rebuild does not change them under a reader.
        with damage_in(FEATURES_NAME):
            self._features = pq.ParquetFile(
                folder / FEATURES_NAME,
                memory_map=True,
                page_checksum_verification=True,
            )
            if self._features.metadata.num_rows != info.d_sae:
                raise ValueError("another number of features")
        with damage_in(VOCABULARY_NAME):
            table = pq.read_table(
                folder / VOCABULARY_NAME, page_checksum_verification=True
            )
            if table.num_rows != info.d_vocab:
                raise ValueError("another number of tokens")
            self.vocabulary = Vocabulary(table["bytes"].to_pylist())
            self._token_counts = table["count"].to_numpy()
        with damage_in(CONTEXTS_NAME):
            self._contexts = safe_open(folder / CONTEXTS_NAME, framework="numpy")
            shape = self._contexts.get_slice("tokens").get_shape()
            if shape != [info.n_chunks, info.context_size]:
                raise ValueError("another corpus")
        # Neither reader promises that threads may share it.
        self._lock = Lock()

    def table(self) -> "pd.DataFrame":
        """A row a feature: feature, n_fired, density, mean_act, max_act, and the texts
        of its first tokens: top_tokens, promoted, suppressed (each a list of str).
        """
        figures = ["feature", "n_fired", "density", "mean_act", "max_act"]
        texts = {
            "top_tokens": "tokens",
            "promoted": "raw_promoted",
            "suppressed": "raw_suppressed",
        }
        text = [self.vocabulary.text(token) for token in range(self.info.d_vocab)]
        with damage_in(FEATURES_NAME):
            with self._lock:
                table = self._features.read(columns=[*figures, *texts.values()])
            frame = table.select(figures).to_pandas()
            for name, column in texts.items():
                frame[name] = [
                    [text[token] for token in tokens[:N_TABLE_TOKENS]]
                    for tokens in table[column].to_pylist()
                ]
        return frame

    def promoted(
        self, features: Sequence[int], kind: LogitKind = "raw"
    ) -> dict[int, list[TokenLogit]]:
        """The tokens each of `features` pushes the model towards, the first the most.

        Raises:
            InputError: one of them is not there.
            DamagedError: what was read cannot be right.
        """
        rows = {feature: self._row(feature) for feature in features}
        with damage_in(FEATURES_NAME):
            return {
                feature: self._logits(row, f"{kind}_promoted")
                for feature, row in rows.items()
            }

    def feature(self, feature: int) -> FeatureRecord:
        """Everything about one feature.

        Raises:
            InputError: there is no such feature.
            DamagedError: what was read cannot be right.
        """
        row = self._row(feature)
        kinds: list[LogitKind] = ["raw", "folded"] if self.info.has_folded else ["raw"]
        with damage_in(CONTEXTS_NAME):
            contexts = list(self._contexts_of(feature))
        with damage_in(FEATURES_NAME):
            return FeatureRecord(
                feature=feature,
                n_fired=row["n_fired"],
                density=row["density"],
                mean_act=row["mean_act"],
                max_act=row["max_act"],
                histogram=_histogram(row["bin_width"], row["bin_counts"]),
                tokens=list(self._firing_tokens(row)),
                promoted={k: self._logits(row, f"{k}_promoted") for k in kinds},
                suppressed={k: self._logits(row, f"{k}_suppressed") for k in kinds},
                contexts=contexts,
            )

    # Until there is an index by token, answers come from the lists of each feature.

    def raised_by(self, token: int, kind: LogitKind = "raw") -> list[FeatureScore]:
        return self._by_list(token, f"{kind}_promoted")

    def lowered_by(self, token: int, kind: LogitKind = "raw") -> list[FeatureScore]:
        return self._by_list(token, f"{kind}_suppressed")

    def _by_list(self, token: int, name: str) -> list[FeatureScore]:
        table = self._features.read(columns=[name, f"{name}_logit"])
        found = [
            FeatureScore(feature, logits[tokens.index(token)])
            for feature, (tokens, logits) in enumerate(
                zip(*(column.to_pylist() for column in table), strict=True)
            )
            if token in tokens
        ]
        return sorted(found, key=lambda each: -abs(each.value))[:50]

    def firing_on(self, token: int) -> list[TokenFeature]:
        table = self._features.read(
            columns=["tokens", "token_n_fired", "token_masses", "sum"]
        )
        found = [
            TokenFeature(
                feature,
                counts[tokens.index(token)],
                counts[tokens.index(token)] / int(self._token_counts[token]),
                masses[tokens.index(token)] / total,
            )
            for feature, (tokens, counts, masses, total) in enumerate(
                zip(*(column.to_pylist() for column in table), strict=True)
            )
            if token in tokens
        ]
        return sorted(found, key=lambda each: -each.n_fired)[:50]

    def layout(self) -> NDArray[np.float32]:
        table = self._features.read(columns=["raw_promoted", "raw_promoted_logit"])
        matrix = np.zeros((self.info.d_sae, self.info.d_vocab), dtype=np.float32)
        for row, (tokens, logits) in enumerate(
            zip(*(column.to_pylist() for column in table), strict=True)
        ):
            matrix[row, tokens] = logits
        return (
            matrix
            @ matrix.T
            @ np.random.default_rng(0).normal(size=(self.info.d_sae, 2))
        ).astype(np.float32)

    def _row(self, feature: int) -> dict[str, Any]:
        if not 0 <= feature < self.info.d_sae:
            raise InputError(
                "features_unknown", feature=feature, last=self.info.d_sae - 1
            )
        group, row = divmod(feature, ROWS_A_GROUP)
        with damage_in(FEATURES_NAME):
            with self._lock:
                table = self._features.read_row_group(group)
            values = table.slice(row, 1).to_pylist()[0]
            if values["feature"] != feature:
                raise ValueError("another feature's row")
            return values

    def _logits(self, row: dict[str, Any], name: str) -> list[TokenLogit]:
        return [
            TokenLogit(token, self.vocabulary.text(token), logit)
            for token, logit in zip(row[name], row[f"{name}_logit"], strict=True)
        ]

    def _firing_tokens(self, row: dict[str, Any]) -> Iterator[FiringToken]:
        for token, mass, n_fired in zip(
            row["tokens"], row["token_masses"], row["token_n_fired"], strict=True
        ):
            yield FiringToken(
                token,
                self.vocabulary.text(token),
                mass_share=mass / row["sum"],
                precision=n_fired / int(self._token_counts[token]),
                n_fired=n_fired,
            )

    def _contexts_of(self, feature: int) -> Iterator[Context]:
        k, context_size = self.info.contexts_per_feature, self.info.context_size
        with self._lock:
            read = self._contexts.get_slice
            chunk = read("chunk")[feature : feature + 1][0]
            position = read("position")[feature : feature + 1][0]
            offset = read("offset")[feature * k : (feature + 1) * k + 1]
            active = slice(int(offset[0]), int(offset[-1]))
            active_position = read("active_position")[active]
            active_value = read("active_value")[active]
            rows = [read("tokens")[c : c + 1][0] for c in chunk[chunk >= 0].tolist()]
        offset = offset - offset[0]
        for rank, tokens in enumerate(rows):
            own = slice(int(offset[rank]), int(offset[rank + 1]))
            activations = np.zeros(context_size, dtype=np.float32)
            activations[active_position[own]] = active_value[own]
            yield Context(
                chunk=int(chunk[rank]),
                position=int(position[rank]),
                tokens=tokens.astype(np.int64),
                texts=self.vocabulary.texts(tokens.tolist()),
                activations=activations,
            )


def _histogram(bin_width: float, counts: list[int]) -> Histogram:
    filled = np.flatnonzero(counts)
    n_bins = int(filled[-1]) + 1 if len(filled) else 0
    edges = np.linspace(0.0, n_bins * bin_width, n_bins + 1)
    return Histogram(edges, np.asarray(counts[:n_bins], dtype=np.int64))
