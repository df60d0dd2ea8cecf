"""Datasets of the Hugging Face hub, streamed through the `datasets` library.

Only files of plain formats are read; a repository that would run a script of its own is
refused, here and by the library, which is never told to trust one.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tinysae.config import TextChoice
from tinysae.data.texts.columns import column_of, read
from tinysae.data.texts.hub_files import download
from tinysae.data.texts.local import is_local_path
from tinysae.data.texts.storybook import STORYBOOK
from tinysae.data.texts.tables import ROWS_AT_ONCE, kinds
from tinysae.data.texts.text import Document, Text
from tinysae.errors import (
    DamagedError,
    InputError,
    MissingError,
    NetworkError,
    TinysaeError,
)
from tinysae.hub.errors import may_pass, status_of
from tinysae.hub.names import is_repo_id
from tinysae.hub.repository import Progress

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import DatasetBuilder

logger = logging.getLogger(__name__)

# The library's builders for files that hold text or numbers.
BUILDERS = "datasets.packaged_modules"
PLAIN_BUILDERS = ("parquet", "arrow", "json", "csv", "text")
# Offline it reads what one of them has prepared in its cache.
CACHE_BUILDER = "cache"
# Seconds to wait before each new try. While a dataset opens somebody waits, and the
# library has tried a dead network several times already: only a hub that did answer is
# asked again. A training can wait for a network that comes back.
OPENING_PAUSES_S = (0.5, 2.0)
READING_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# The library's own tries and pauses are of minutes, in which nobody can stop it.
LIBRARY_TRIES, LIBRARY_PAUSE_S = 2, 1
MAX_REASON = 300

T = TypeVar("T")


def opened(choice: TextChoice) -> "HubDataset | None":
    return HubDataset(choice) if is_of_hub(choice) else None


def is_of_hub(choice: TextChoice) -> bool:
    """Whether reading it talks to the hub."""
    is_id = is_repo_id(choice.path) and not is_local_path(choice.path)
    return is_id and choice.path != STORYBOOK


class HubDataset(Text):
    """One split of a dataset.

    Attributes:
        revision: the commit that is read.
    """

    def __init__(self, choice: TextChoice) -> None:
        self._choice = choice
        self._builder = _patiently(choice, lambda: _builder(choice))
        self.revision = str(self._builder.hash or "")

    def count_rows(self) -> int | None:
        split = (self._builder.info.splits or {}).get(self._choice.split)
        return getattr(split, "num_examples", None) or None

    def bring(self, progress: Progress) -> None:
        """Downloads the dataset's files, unless they are streamed or here already."""
        if not self._choice.streaming and not Path(self._builder.cache_dir).exists():
            _patiently(
                self._choice, lambda: download(_data_files(self._builder), progress)
            )

    def rows(self) -> Iterator[Document]:
        source = _patiently(self._choice, self._source)
        column = ""
        for table in self._tables(source):
            if not column:
                column = column_of(kinds(table.schema), self._choice)
            if column not in table.column_names:
                continue
            for value in table.column(column).to_pylist():
                document = read(value, self._choice)
                if document:
                    yield document

    def _source(self) -> Any:
        split = self._choice.split
        if self._choice.streaming:
            return self._builder.as_streaming_dataset(split=split)
        self._builder.download_and_prepare()
        return self._builder.as_dataset(split=split)

    def _tables(self, source: Any) -> "Iterator[pa.Table]":
        """All rows, [<= ROWS_AT_ONCE] a time; after a failure from where it was."""
        source = source.with_format("arrow")
        if not self._choice.streaming:
            yield from source.iter(ROWS_AT_ONCE)
            return
        pauses, state = iter(READING_PAUSES_S), None
        while True:
            if state is not None:
                source.load_state_dict(state)
            try:
                for table in source.iter(ROWS_AT_ONCE):
                    state, pauses = source.state_dict(), iter(READING_PAUSES_S)
                    yield table
                return
            except Exception as problem:
                _wait_or_raise(self._choice, problem, pauses)


def _builder(choice: TextChoice) -> "DatasetBuilder":
    import datasets
    from datasets import config

    # Progress bars would fill the server's log.
    datasets.disable_progress_bars()
    config.STREAMING_READ_MAX_RETRIES = LIBRARY_TRIES
    config.STREAMING_OPEN_MAX_RETRIES = LIBRARY_TRIES
    config.STREAMING_READ_RETRY_INTERVAL = LIBRARY_PAUSE_S
    config.STREAMING_OPEN_RETRY_INTERVAL = LIBRARY_PAUSE_S
    config.STREAMING_READ_SERVER_UNAVAILABLE_RETRY_INTERVAL = LIBRARY_PAUSE_S
    config.STREAMING_READ_RATE_LIMIT_RETRY_INTERVAL = LIBRARY_PAUSE_S
    builder = datasets.load_dataset_builder(choice.path, choice.subset or None)
    module = builder.__module__.rpartition(".")[2]
    is_packaged = builder.__module__.startswith(f"{BUILDERS}.")
    if not is_packaged or module not in (*PLAIN_BUILDERS, CACHE_BUILDER):
        raise InputError("text_dataset_format", dataset=choice.path, found=module)
    return builder


def _data_files(builder: "DatasetBuilder") -> list[str]:
    """The addresses of all files that the library would read."""
    splits = builder.config.data_files or {}
    return [str(file) for files in splits.values() for file in files]


def _patiently(choice: TextChoice, call: Callable[[], T]) -> T:
    pauses = iter(OPENING_PAUSES_S)
    while True:
        try:
            return call()
        except Exception as problem:
            answered = status_of(problem) is not None
            _wait_or_raise(choice, problem, pauses if answered else iter(()))


def _wait_or_raise(
    choice: TextChoice, problem: Exception, pauses: Iterator[float]
) -> None:
    """Waits if trying again may help, and there are pauses left.

    Raises:
        TinysaeError: it may not, or none is left.
    """
    error = _as_sentence(choice, problem)
    pause = next(pauses, None) if isinstance(error, NetworkError) else None
    if pause is None:
        raise error from problem
    logger.warning("%s: %s; trying again in %g s", choice.path, problem, pause)
    time.sleep(pause)


def _as_sentence(choice: TextChoice, problem: Exception) -> Exception:
    """What the libraries raised, as a sentence; a bug stays what it is."""
    from datasets import exceptions
    from pyarrow import ArrowException

    if isinstance(problem, TinysaeError):
        return problem
    name, reason = choice.path, str(problem)[:MAX_REASON]
    if may_pass(problem):
        return NetworkError("text_network", dataset=name)
    if isinstance(problem, exceptions.DataFilesNotFoundError) or (
        type(problem).__name__ == "EmptyDatasetError"
    ):
        return InputError("text_dataset_no_files", dataset=name)
    if isinstance(problem, exceptions.DatasetNotFoundError | PermissionError) or (
        status_of(problem) in (401, 403, 404)
    ):
        return MissingError("text_dataset_missing", dataset=name)
    if isinstance(problem, RuntimeError) and "scripts are no longer" in reason:
        return InputError("text_dataset_script", dataset=name)
    listed = re.search(r"\[.*\]", reason)
    if isinstance(problem, ValueError) and listed:
        # An unknown split or subset: the message lists those there are.
        return InputError(
            "text_dataset_part",
            dataset=name,
            subset=choice.subset or "-",
            split=choice.split,
            choices=listed[0],
        )
    damaged = (ArrowException, exceptions.DatasetsError, ValueError, OSError, EOFError)
    if isinstance(problem, damaged):
        return DamagedError("text_dataset_damaged", dataset=name, reason=reason)
    return problem
