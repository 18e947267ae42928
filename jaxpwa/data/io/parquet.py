"""Parquet files, through pyarrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from jaxpwa._extras import needs
from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, check_columns, parsing


def _chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[pd.DataFrame]:
    """Read the columns of a parquet file; nested ones are refused."""
    needs("pyarrow", "parquet", "reading parquet files")
    import pyarrow
    from pyarrow import parquet

    with parsing(path), parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        names = [n for n in schema.names if n != "__index_level_0__"]
        check_columns(path, names, columns)
        wanted = columns or names
        nested = [n for n in wanted if pyarrow.types.is_nested(schema.field(n).type)]
        if nested:
            msg = f"{path}: column {nested[0]!r} holds {schema.field(nested[0]).type}, not one value per event."
            raise ValueError(msg)
        if rows is None:
            yield file.read(columns=wanted).select(wanted).to_pandas(ignore_metadata=True)
            return
        empty = True
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            empty = False
            yield pyarrow.Table.from_batches([batch]).select(wanted).to_pandas(ignore_metadata=True)
        if empty:
            yield file.read(columns=wanted).select(wanted).to_pandas(ignore_metadata=True)


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


FORMATS = (Format("parquet", (".parquet", ".pq"), b"PAR1", _chunks, _write),)
