"""Parquet files, through pyarrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from jaxpwa._extras import needs
from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, check_columns, parsing

# With a buffer, pyarrow reads a column as it is decoded; without, all of a row group at once, which may be the file.
_BUFFER = 1 << 20


def _chunks(path: Path, rows: int | None, columns: list[str] | None, start: int = 0) -> Iterator[pd.DataFrame]:
    """Read the columns of a parquet file from a row on; nested ones are refused."""
    needs("pyarrow", "parquet", "reading parquet files")
    import pyarrow
    from pyarrow import parquet

    streamed: dict[str, Any] = {} if rows is None else {"buffer_size": _BUFFER, "pre_buffer": False}
    with parsing(path), parquet.ParquetFile(path, **streamed) as file:
        schema = file.schema_arrow
        names = [n for n in schema.names if n != "__index_level_0__"]
        check_columns(path, names, columns)
        wanted = columns or names
        nested = [n for n in wanted if pyarrow.types.is_nested(schema.field(n).type)]
        if nested:
            kind = schema.field(nested[0]).type
            msg = f"{path}: column {nested[0]!r} holds {kind}, not one value per event: choose others with columns."
            raise ValueError(msg)
        if rows is None:
            yield file.read(columns=wanted).select(wanted).to_pandas(ignore_metadata=True)
            return
        empty = True
        groups, skipped = _groups_from(file.metadata, start)
        for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=wanted) if groups else ():
            if skipped >= len(batch):
                skipped -= len(batch)
                continue
            batch, skipped = batch.slice(skipped), 0
            empty = False
            yield pyarrow.Table.from_batches([batch]).select(wanted).to_pandas(ignore_metadata=True)
        if empty:
            yield file.schema_arrow.empty_table().select(wanted).to_pandas(ignore_metadata=True)


def _groups_from(metadata: Any, start: int) -> tuple[list[int], int]:
    """Return the row groups that hold rows from ``start`` on, and how many rows of the first lie before it."""
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if start < rows:
            return list(range(group, metadata.num_row_groups)), start
        start -= rows
    return [], 0


def _count(path: Path) -> int:
    """Return the number of rows that the file says it has."""
    needs("pyarrow", "parquet", "reading parquet files")
    from pyarrow import parquet

    with parsing(path), parquet.ParquetFile(path) as file:
        return int(file.metadata.num_rows)


def _write(stream: BinaryIO, table: Any) -> None:
    """Write a table with zstd compression."""
    needs("pyarrow", "parquet", "writing parquet files")
    import pyarrow
    from pyarrow import parquet

    columns = table_columns(table)
    wide = [name for name, values in columns.items() if values.ndim != 1]
    if wide:
        msg = f"parquet files hold one value per event and column here; {wide[0]!r} has shape {columns[wide[0]].shape}."
        raise ValueError(msg)
    content = pyarrow.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
    parquet.write_table(content, stream, compression="zstd")


FORMATS = (Format("parquet", (".parquet", ".pq"), b"PAR1", _chunks, _write, parts=_chunks, count=_count),)
