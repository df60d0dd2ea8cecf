"""An index on disk: the one module that writes and reads its files.

index.json             what it is an index of; the other files' sizes
features.parquet       a row a feature: figures, histogram, tokens, logits
vocabulary.parquet     a row a token: its bytes, how often the corpus has it
contexts.safetensors   the corpus that was read and where each feature is strong
                       in it (memory-mapped: a feature is a few slices)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysae.errors import DamagedError, MissingError
from tinysae.features.logits import ExtremeLogits
from tinysae.features.records import LogitKind
from tinysae.features.statistics import Histograms, Totals
from tinysae.features.token_sums import TopTokens
from tinysae.features.top_contexts import Contexts
from tinysae.features.vocabulary import Vocabulary
from tinysae.runs.files import read_json, staged_folder, write_json

FORMAT = 1
INDEX_NAME = "index.json"
FEATURES_NAME = "features.parquet"
VOCABULARY_NAME = "vocabulary.parquet"
CONTEXTS_NAME = "contexts.safetensors"
# One feature is read with its row group: small enough to be quick, large enough that
# the footer, read when an index is opened, stays small.
ROWS_A_GROUP = 128


@dataclass(frozen=True, kw_only=True)
class IndexInfo:
    """What an index is an index of.

    n_tokens is what densities are relative to: the tokens that were read without BOS.
    n_positions counts BOS too. token_sums_exact: see `SparseTokenSums`. has_folded:
    whether there are logits with the final LayerNorm's weight in them.
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
    token_sums_exact: bool
    has_folded: bool


@dataclass(frozen=True)
class IndexData:
    """Everything an index holds. chunks [n_chunks, context_size] are token ids,
    token_counts [d_vocab] how often each occurs in them."""

    info: IndexInfo
    totals: Totals
    histograms: Histograms
    tokens: TopTokens
    logits: Mapping[LogitKind, ExtremeLogits]
    contexts: Contexts
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
            write_page_checksum=True,
        )
        pq.write_table(
            _vocabulary_table(data),
            stage / VOCABULARY_NAME,
            write_page_checksum=True,
        )
        save_file(_context_arrays(data), stage / CONTEXTS_NAME)
        files = (FEATURES_NAME, VOCABULARY_NAME, CONTEXTS_NAME)
        write_json(
            stage / INDEX_NAME,
            {
                "format": FORMAT,
                **asdict(data.info),
                "files": {name: (stage / name).stat().st_size for name in files},
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
    except (OSError, ValueError, RecursionError) as problem:
        raise DamagedError("features_damaged", file=INDEX_NAME) from problem
    if data.get("format") != FORMAT:
        raise DamagedError(
            "features_format", found=str(data.get("format"))[:20], wanted=FORMAT
        )
    with damage_in(INDEX_NAME):
        sizes = {str(name): int(size) for name, size in data["files"].items()}
        info = IndexInfo(**{item.name: data[item.name] for item in fields(IndexInfo)})
        for item in fields(IndexInfo):
            if type(getattr(info, item.name)) is not item.type:
                raise TypeError(item.name)
    for name in (FEATURES_NAME, VOCABULARY_NAME, CONTEXTS_NAME):
        with damage_in(name):
            if (folder / name).stat().st_size != sizes[name]:
                raise ValueError("not as long as it was written")
    return info


@contextmanager
def damage_in(file: str) -> Iterator[None]:
    """Whatever goes wrong in reading `file` means that it is damaged.

    Raises:
        DamagedError: something did.
    """
    from safetensors import SafetensorError

    # pyarrow's own errors are ValueErrors, OSErrors and KeyErrors.
    problems = (
        ValueError, TypeError, KeyError, IndexError, OSError, OverflowError,
        AttributeError, SafetensorError,
    )  # fmt: skip
    try:
        yield
    except problems as problem:
        raise DamagedError("features_damaged", file=file) from problem


def _feature_table(data: IndexData) -> Any:
    import pyarrow as pa

    totals, tokens = data.totals, data.tokens
    is_token = tokens.token >= 0
    columns = {
        "feature": pa.array(np.arange(data.info.d_sae, dtype=np.int32)),
        "n_fired": pa.array(totals.n_fired),
        "density": pa.array(totals.n_fired / data.info.n_tokens),
        "mean_act": pa.array(totals.mean_when_active()),
        "max_act": pa.array(totals.max),
        "bin_width": pa.array(data.histograms.bin_width),
        "bin_counts": _lists(data.histograms.counts),
        "tokens": _lists(tokens.token, is_token),
        "token_masses": _lists(tokens.mass, is_token),
        "token_n_fired": _lists(tokens.n_fired, is_token),
    }
    for kind, logits in data.logits.items():
        for name, values in logits._asdict().items():
            columns[f"{kind}_{name}"] = _lists(values)
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
    """A list column of the rows of `values` [n, m], without those not kept."""
    import pyarrow as pa

    if is_kept is None:
        is_kept = np.ones(values.shape, dtype=bool)
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(is_kept.sum(axis=1), out=offsets[1:])
    return pa.ListArray.from_arrays(offsets, values[is_kept])


def _context_arrays(data: IndexData) -> dict[str, NDArray[Any]]:
    arrays = {"tokens": data.chunks, **data.contexts._asdict()}
    # Half the size wherever it is enough, as it nearly always is.
    for name, n_values in (
        ("tokens", data.info.d_vocab),
        ("active_position", data.info.context_size),
    ):
        if n_values <= 1 << 16:
            arrays[name] = arrays[name].astype(np.uint16)
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
