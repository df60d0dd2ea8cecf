"""An index on disk: the one module that writes and reads its files.

index.json             what it is an index of; the other files' sizes
features.parquet       a row a feature: figures, histograms, tokens, logits, relatives
vocabulary.parquet     a row a token: its bytes, how often the corpus has it
tokens.safetensors     a row a token: the features that raise it, lower it, fire on it
contexts.safetensors   the corpus that was read and where each feature is active in it
                       (both memory-mapped: a feature or a token is a few slices)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, MissingError
from tinysae.features.index.records import LogitKind
from tinysae.jobs.files import read_json, staged_folder, write_json
from tinysae.model.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    # What computes them imports the compiler, which a reader does not need.
    from tinysae.features.index.cofiring import CoFirings
    from tinysae.features.index.logits import ExtremeLogits, TokenFeatures
    from tinysae.features.index.neighbours import Neighbours
    from tinysae.features.index.statistics import (
        Contexts,
        FiringFeatures,
        TopTokens,
        Totals,
    )

FORMAT = 2
INDEX_NAME = "index.json"
FEATURES_NAME = "features.parquet"
VOCABULARY_NAME = "vocabulary.parquet"
TOKENS_NAME = "tokens.safetensors"
CONTEXTS_NAME = "contexts.safetensors"
FILES = (FEATURES_NAME, VOCABULARY_NAME, TOKENS_NAME, CONTEXTS_NAME)
# One feature is read with its row group: small enough to be quick, large enough that
# the footer, read when an index is opened, stays small.
ROWS_A_GROUP = 128


@dataclass(frozen=True, kw_only=True)
class IndexInfo:
    """What an index is an index of.

    n_tokens is what densities are relative to: the tokens that were read without BOS.
    n_positions counts BOS too. contexts_per_bin: of each group of bins of the
    histogram. features_per_token: how many a token's lists have at most. layout: how
    the map of the features was made, "umap" or "pca". has_folded: whether there are
    logits with the final LayerNorm's weight in them. text: what was read, as the
    setting `dataset_path` names it; empty if that was not noted. is_held_out: whether
    the SAE is known not to have been trained on it.
    """

    sae_fingerprint: str
    model: str
    hook_name: str
    d_in: int
    d_sae: int
    d_vocab: int
    bos_id: int
    n_chunks: int
    context_size: int
    n_positions: int
    n_tokens: int
    contexts_per_feature: int
    contexts_per_bin: int
    features_per_token: int
    layout: str
    has_folded: bool
    text: str = ""
    is_held_out: bool = False


@dataclass(frozen=True)
class IndexData:
    """Everything an index holds. chunks [n_chunks, context_size] are token ids,
    token_counts [d_vocab] how often each occurs in them, layout [d_sae, 2]."""

    info: IndexInfo
    totals: "Totals"
    by_mass: "TopTokens"
    by_precision: "TopTokens"
    logits: "Mapping[LogitKind, ExtremeLogits]"
    neighbours: "Neighbours"
    cofiring: "CoFirings"
    layout: NDArray[np.float32]
    token_logits: "Mapping[LogitKind, TokenFeatures]"
    firing: "FiringFeatures"
    contexts: "Contexts"
    chunks: NDArray[np.int32]
    token_counts: NDArray[np.int64]
    vocabulary: Vocabulary


def write_index(data: IndexData, out_dir: Path) -> None:
    """Replaces `out_dir` by an index, in one rename: there is never half of one.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    import pyarrow.parquet as pq
    from safetensors.numpy import save_file

    with staged_folder(out_dir) as stage:
        pq.write_table(
            _feature_table(data),
            stage / FEATURES_NAME,
            row_group_size=ROWS_A_GROUP,
            compression="zstd",
            # Hardly a number occurs twice: larger and slower with one.
            use_dictionary=False,
            write_page_checksum=True,
        )
        pq.write_table(
            _vocabulary_table(data),
            stage / VOCABULARY_NAME,
            write_page_checksum=True,
        )
        save_file(_token_arrays(data), stage / TOKENS_NAME)
        save_file(_context_arrays(data), stage / CONTEXTS_NAME)
        write_json(
            stage / INDEX_NAME,
            {
                "format": FORMAT,
                **asdict(data.info),
                "files": {name: (stage / name).stat().st_size for name in FILES},
            },
        )


def read_info(folder: Path) -> IndexInfo:
    """Which SAE, model and corpus the index in `folder` is of.

    Raises:
        MissingError: there is no index.
        DamagedError: it was written in another format, or its files are not whole.
    """
    try:
        data = read_json(folder / INDEX_NAME)
    except FileNotFoundError as problem:
        raise MissingError("features_missing", path=str(folder)) from problem
    except (OSError, ValueError) as problem:
        raise DamagedError("features_damaged", file=INDEX_NAME) from problem
    if data.get("format") != FORMAT:
        raise DamagedError(
            "features_format", found=str(data.get("format"))[:20], wanted=FORMAT
        )
    with damage_in(INDEX_NAME):
        sizes = {str(name): int(size) for name, size in data["files"].items()}
        # What has a default was not noted in earlier indexes.
        names = {
            item.name
            for item in fields(IndexInfo)
            if item.default is MISSING or item.name in data
        }
        info = IndexInfo(**{name: data[name] for name in names})
        for item in fields(IndexInfo):
            if type(getattr(info, item.name)) is not item.type:
                raise TypeError(item.name)
    for name in FILES:
        with damage_in(name):
            if (folder / name).stat().st_size != sizes[name]:
                raise ValueError("not as long as it was written")
    return info


@contextmanager
def damage_in(file: str) -> Iterator[None]:
    """Anything that goes wrong while `file` is read means that it is damaged.

    Raises:
        DamagedError: something did.
    """
    import pyarrow as pa
    from safetensors import SafetensorError

    # What the file says of its own size may be more than there is.
    problems = (
        ValueError, TypeError, KeyError, IndexError, OSError, OverflowError,
        AttributeError, SafetensorError, pa.ArrowException, RecursionError, MemoryError,
    )  # fmt: skip
    try:
        yield
    except problems as problem:
        raise DamagedError("features_damaged", file=file) from problem


def _feature_table(data: IndexData) -> Any:
    import pyarrow as pa

    totals = data.totals
    columns = {
        "feature": pa.array(np.arange(data.info.d_sae, dtype=np.int32)),
        "n_fired": pa.array(totals.n_fired),
        "density": pa.array(totals.n_fired / data.info.n_tokens),
        "mean_act": pa.array(totals.mean_when_active()),
        "max_act": pa.array(totals.max),
        "bin_width": pa.array(totals.bin_width),
        "bin_counts": _lists(totals.bin_counts),
        "x": pa.array(data.layout[:, 0]),
        "y": pa.array(data.layout[:, 1]),
    }
    for name, tokens in (("", data.by_mass), ("precise_", data.by_precision)):
        is_token = tokens.token >= 0
        columns[f"{name}tokens"] = _lists(tokens.token, is_token)
        columns[f"{name}token_masses"] = _lists(tokens.mass, is_token)
        columns[f"{name}token_n_fired"] = _lists(tokens.n_fired, is_token)
    columns["neighbours"] = _lists(data.neighbours.feature)
    columns["neighbour_cosines"] = _lists(data.neighbours.cosine)
    is_feature = data.cofiring.feature >= 0
    columns["cofiring"] = _lists(data.cofiring.feature, is_feature)
    columns["cofiring_n_both"] = _lists(data.cofiring.n_both, is_feature)
    columns["cofiring_jaccard"] = _lists(data.cofiring.jaccard, is_feature)
    for kind, logits in data.logits.items():
        for name, values in logits._asdict().items():
            column = pa.array(values) if values.ndim == 1 else _lists(values)
            columns[f"{kind}_{name}"] = column
    # Sums are float64 while everything is added up; mass shares need the whole.
    columns["sum"] = pa.array(totals.sum)
    return pa.table(columns)


def _vocabulary_table(data: IndexData) -> Any:
    import pyarrow as pa

    token_bytes: Sequence[bytes] = data.vocabulary.token_bytes
    return pa.table(
        {
            "bytes": pa.array(list(token_bytes), pa.binary()),
            "count": pa.array(data.token_counts),
        }
    )


def _lists(values: NDArray[Any], is_kept: NDArray[np.bool_] | None = None) -> Any:
    """A list column: the rows of `values` [n, m], without what is not kept."""
    import pyarrow as pa

    if is_kept is None:
        is_kept = np.ones(values.shape, dtype=bool)
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(is_kept.sum(axis=1), out=offsets[1:])
    return pa.ListArray.from_arrays(offsets, values[is_kept])


def _token_arrays(data: IndexData) -> dict[str, NDArray[Any]]:
    # A place without a feature has n_fired 0.
    arrays: dict[str, NDArray[Any]] = {
        "firing": np.maximum(data.firing.feature, 0),
        "firing_n_fired": data.firing.n_fired.astype(np.int32),
        "firing_mass_share": _shares(data),
    }
    for kind, logits in data.token_logits.items():
        arrays |= {f"{kind}_{name}": v for name, v in logits._asdict().items()}
    for name in arrays:
        if name == "firing" or name.endswith("_by"):
            arrays[name] = _short(arrays[name], data.info.d_sae)
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _shares(data: IndexData) -> NDArray[np.float32]:
    """What part of each feature's activation its mass on the token is."""
    total = np.append(data.totals.sum, np.inf)[data.firing.feature]
    return (data.firing.mass / total).astype(np.float32)


def _context_arrays(data: IndexData) -> dict[str, NDArray[Any]]:
    contexts, n_positions = data.contexts, data.info.context_size
    # Where each feature's activations begin; a place without a context has none.
    offset = np.zeros(data.info.d_sae + 1, dtype=np.int64)
    np.cumsum(contexts.n_active.sum(1), out=offset[1:])
    arrays = {
        "tokens": _short(data.chunks, data.info.d_vocab),
        "chunk": _short(np.maximum(contexts.chunk, 0), data.info.n_chunks),
        "position": _short(contexts.position, n_positions),
        "n_active": _short(contexts.n_active, n_positions + 1),
        "offset": offset,
        "active_position": _short(contexts.active_position, n_positions),
        "active_value": contexts.active_value,
    }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _short(values: NDArray[Any], n_values: int) -> NDArray[Any]:
    """Numbers from 0 to below `n_values` in as few bytes as hold them."""
    for kind in (np.uint8, np.uint16):
        if n_values <= np.iinfo(kind).max + 1:
            return values.astype(kind)
    return values
