"""Rows of .parquet and .arrow files, a batch of them in memory at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysae.config import TextChoice
from tinysae.data.texts.columns import Kind, column_of, read
from tinysae.data.texts.text import Document
from tinysae.errors import DamagedError

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".arrow")
ROWS_AT_ONCE = 512
FILE_FORMAT = b"ARROW1"


def rows(file: Path, choice: TextChoice) -> Iterator[Document]:
    """The documents of one file.

    Raises:
        InputError: no column of it could be meant.
        DamagedError: it is cut short, or is not what its name says.
    """
    import pyarrow as pa

    try:
        is_parquet = file.suffix.lower() == ".parquet"
        for batch in (_parquet if is_parquet else _arrow)(file, choice):
            # pyarrow believes a file's offsets, and would read where they point.
            batch.validate(full=True)
            for value in batch.to_pylist():
                document = read(value, choice)
                if document:
                    yield document
    except MemoryError:
        # One of pyarrow's own is among what follows.
        raise
    # Text that is no UTF-8 is a ValueError.
    except (pa.ArrowException, OSError, EOFError, ValueError) as problem:
        raise DamagedError("text_table_damaged", file=file.name) from problem


def n_parquet_rows(file: Path) -> int:
    """How many rows the file says it has.

    Raises:
        DamagedError: it is cut short, or is not what its name says.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(file).num_rows
    except (pa.ArrowException, OSError) as problem:
        raise DamagedError("text_table_damaged", file=file.name) from problem


def kinds(schema: "pa.Schema") -> dict[str, Kind]:
    """What each column of a table is to a model."""
    from pyarrow import types

    def kind(of: Any) -> Kind:
        if types.is_dictionary(of):
            of = of.value_type
        if types.is_string(of) or types.is_large_string(of):
            return "text"
        is_list = (
            types.is_list(of) or types.is_large_list(of) or types.is_fixed_size_list(of)
        )
        return "tokens" if is_list and types.is_integer(of.value_type) else "other"

    return {field.name: kind(field.type) for field in schema}


def _parquet(file: Path, choice: TextChoice) -> Iterator[Any]:
    """Columns [<= ROWS_AT_ONCE]."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        column = column_of(kinds(table.schema_arrow), choice)
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=[column]):
            yield batch.column(0)


def _arrow(file: Path, choice: TextChoice) -> Iterator[Any]:
    """Columns [<= ROWS_AT_ONCE]; the file stays where it is and is only mapped."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        # `datasets` writes the stream format under this name, others the file format.
        is_file = source.read(len(FILE_FORMAT)) == FILE_FORMAT
        source.seek(0)
        table: Any = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source)
        column = column_of(kinds(table.schema), choice)
        batches = (
            (table.get_batch(n) for n in range(table.num_record_batches))
            if is_file
            else table
        )
        for batch in batches:
            whole = batch.column(column)
            for start in range(0, len(whole), ROWS_AT_ONCE):
                yield whole.slice(start, ROWS_AT_ONCE)
