"""Reading an index, a feature at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, InputError
from tinysae.features.index.context_file import ContextFile
from tinysae.features.index.format import (
    FEATURES_NAME,
    ROWS_A_GROUP,
    TOKENS_NAME,
    VOCABULARY_NAME,
    IndexInfo,
    damage_in,
    read_info,
)
from tinysae.features.index.records import (
    CoFiring,
    FeatureRecord,
    FeatureScore,
    FiringToken,
    Heads,
    Histogram,
    LogitKind,
    Neighbour,
    Partners,
    TokenFeature,
    TokenLogit,
    logit_edges,
)
from tinysae.features.index.tensor_file import TensorFile
from tinysae.model.text.vocabulary import Vocabulary

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
        self._contexts = ContextFile(folder, info, self.vocabulary)
        with damage_in(TOKENS_NAME):
            self._tokens = TensorFile(folder / TOKENS_NAME)
            if self._tokens.shape("firing") != [info.d_vocab, info.features_per_token]:
                raise ValueError("another vocabulary")
        # pyarrow does not promise that threads may share a reader.
        self._lock = Lock()

    @property
    def bos_text(self) -> str:
        """What separates the texts that were read."""
        return self.vocabulary.text(self.info.bos_id)

    def text(self, n: int) -> NDArray[np.int32]:
        """As `ContextFile.text`."""
        return self._contexts.text(n)

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
        kinds = self._kinds
        contexts, bin_contexts = self._contexts.of(
            feature, row["bin_width"], row["bin_counts"]
        )
        with damage_in(FEATURES_NAME):
            return FeatureRecord(
                feature=feature,
                n_fired=row["n_fired"],
                density=row["density"],
                mean_act=row["mean_act"],
                max_act=row["max_act"],
                histogram=_histogram(row["bin_width"], row["bin_counts"]),
                tokens=list(self._firing_tokens(row, "")),
                promoted={k: self._logits(row, f"{k}_promoted") for k in kinds},
                suppressed={k: self._logits(row, f"{k}_suppressed") for k in kinds},
                contexts=contexts,
                bin_contexts=bin_contexts,
                neighbours=_rows(Neighbour, row, "neighbours", "neighbour_cosines"),
                cofiring=_rows(
                    CoFiring, row, "cofiring", "cofiring_n_both", "cofiring_jaccard"
                ),
                logit_histogram={k: _logit_histogram(row, k) for k in kinds},
                precise_tokens=list(self._firing_tokens(row, "precise_")),
            )

    def layout(self) -> NDArray[np.float32]:
        """A place on a plane for every feature [d_sae, 2], dead ones too: `info.layout`
        says how it was made."""
        with damage_in(FEATURES_NAME):
            with self._lock:
                table = self._features.read(columns=["x", "y"])
            return np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()])

    def partners(self) -> Partners:
        """The features that fire with each of them most.

        Raises:
            DamagedError: what was read cannot be right.
        """
        with damage_in(FEATURES_NAME):
            with self._lock:
                table = self._features.read(columns=["cofiring", "cofiring_jaccard"])
            feature, jaccard = (column.to_pylist() for column in table.columns)
            n = max(map(len, feature), default=0)
            found = _firsts(feature, n, -1).astype(np.int32)
            if found.size and found.max() >= self.info.d_sae:
                raise ValueError("a feature that is not there")
            return Partners(found, _firsts(jaccard, n, 0).astype(np.float32))

    def heads(self, n_tokens: int, n_features: int) -> Heads:
        """The first `n_tokens` of every feature's tokens, and every token's first
        `n_features` features.

        Raises:
            DamagedError: what was read cannot be right.
        """
        with damage_in(TOKENS_NAME):
            names = ("firing", "firing_mass_share", "firing_n_fired")
            best, share, n_fired = (
                _columns(self._tokens.columns(name, n_features), n_features)
                for name in names
            )
            best = np.where(n_fired > 0, best.astype(np.int32), -1).astype(np.int32)
            share = np.where(n_fired > 0, share, 0).astype(np.float32)
        columns = ["tokens", "token_masses", "raw_promoted"]
        with damage_in(FEATURES_NAME), self._lock:
            table = self._features.read(columns=[*columns, "sum"])
            tokens, masses, promoted = (table[name].to_pylist() for name in columns)
            total = np.maximum(table["sum"].to_numpy(), np.finfo(np.float64).tiny)
            return Heads(
                best,
                share,
                _firsts(tokens, n_tokens, -1).astype(np.int32),
                (_firsts(masses, n_tokens, 0) / total[:, None]).astype(np.float32),
                _firsts(promoted, n_tokens, -1).astype(np.int32),
            )

    def raised_by(self, token: int, kind: LogitKind = "raw") -> list[FeatureScore]:
        """The features that raise the logit of `token` most, the first the most.

        Raises:
            InputError: there is no such token, or no such kind of logit.
            DamagedError: what was read cannot be right.
        """
        return self._scores(token, kind, "raised")

    def lowered_by(self, token: int, kind: LogitKind = "raw") -> list[FeatureScore]:
        """The features that lower the logit of `token` most, the first the most.

        Raises:
            InputError, DamagedError: as `raised_by`.
        """
        return self._scores(token, kind, "lowered")

    def firing_on(self, token: int) -> list[TokenFeature]:
        """The features that fire on `token`, those first whose precision times mass
        share is largest: they fire whenever it comes, and on little else.

        Raises:
            InputError: there is no such token.
            DamagedError: what was read cannot be right.
        """
        names = ("firing", "firing_n_fired", "firing_mass_share")
        feature, n_fired, share = self._token_row(token, *names)
        with damage_in(TOKENS_NAME):
            # A token that never came has no features, and so is divided by nothing.
            count = int(self._token_counts[token]) or 1
            return [
                TokenFeature(self._checked(f), n, n / count, s)
                for f, n, s in zip(feature, n_fired, share, strict=True)
                if n > 0
            ]

    def _scores(self, token: int, kind: LogitKind, way: str) -> list[FeatureScore]:
        if kind not in self._kinds:
            raise InputError("features_kind", kind=str(kind)[:40])
        rows = self._token_row(token, f"{kind}_{way}_by", f"{kind}_{way}")
        with damage_in(TOKENS_NAME):
            return [
                FeatureScore(self._checked(feature), value)
                for feature, value in zip(*rows, strict=True)
            ]

    def _token_row(self, token: int, *names: str) -> list[list[Any]]:
        last = self.info.d_vocab - 1
        if not 0 <= token <= last:
            raise InputError("features_unknown_token", token=token, last=last)
        with damage_in(TOKENS_NAME):
            return [self._tokens.row(name, token).tolist() for name in names]

    def _checked(self, feature: int) -> int:
        if not 0 <= feature < self.info.d_sae:
            raise ValueError("a feature that is not there")
        return feature

    @property
    def _kinds(self) -> list[LogitKind]:
        return ["raw", "folded"] if self.info.has_folded else ["raw"]

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

    def _firing_tokens(self, row: dict[str, Any], by: str) -> Iterator[FiringToken]:
        names = (f"{by}tokens", f"{by}token_masses", f"{by}token_n_fired")
        for token, mass, n_fired in zip(*(row[name] for name in names), strict=True):
            yield FiringToken(
                token,
                self.vocabulary.text(token),
                mass_share=mass / row["sum"],
                precision=n_fired / int(self._token_counts[token]),
                n_fired=n_fired,
            )


def _rows(kind: type[Any], row: dict[str, Any], *columns: str) -> list[Any]:
    """Records of the columns' lists, an entry each."""
    return [kind(*values) for values in zip(*(row[c] for c in columns), strict=True)]


def _columns(values: NDArray[Any], n: int) -> NDArray[Any]:
    """`values` [rows, at most n] with zeros up to n columns."""
    return np.pad(values, ((0, 0), (0, n - values.shape[1])))


def _firsts(
    lists: Sequence[Sequence[float]], n: int, nothing: float
) -> NDArray[np.float64]:
    """[lists, n]: the first of each, then `nothing`."""
    rows = [[*own[:n], *[nothing] * (n - len(own))] for own in lists]
    return np.asarray(rows, np.float64).reshape(len(lists), n)


def _histogram(bin_width: float, counts: list[int]) -> Histogram:
    filled = np.flatnonzero(counts)
    n_bins = int(filled[-1]) + 1 if len(filled) else 0
    edges = np.linspace(0.0, n_bins * bin_width, n_bins + 1)
    return Histogram(edges, np.asarray(counts[:n_bins], dtype=np.int64))


def _logit_histogram(row: dict[str, Any], kind: LogitKind) -> Histogram:
    low, high = (np.float32(row[f"{kind}_{end}"]) for end in ("low", "high"))
    counts = np.asarray(row[f"{kind}_counts"], dtype=np.int64)
    return Histogram(logit_edges(np.array([low]), np.array([high]))[0], counts)
