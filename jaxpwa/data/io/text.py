"""Delimited text: csv and tsv, with a header line."""

import csv
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, check_columns
from jaxpwa.data.io.source import for_pandas, frames, open_text

# pandas before 3.1 reads floats to the last bit only when asked; since then it does, and deprecates the question.
EXACT: dict[str, Any] = {}
if tuple(int(n) for n in pd.__version__.split(".")[:2]) < (3, 1):
    EXACT = {"float_precision": "round_trip"}


def _header(path: Path, separator: str) -> list[str]:
    """Return the names in the first line that is not blank."""
    with open_text(path, newline="") as stream:
        for row in csv.reader(stream, delimiter=separator):
            if any(cell.strip() for cell in row):
                return row
    msg = f"{path} has no header line."
    raise ValueError(msg)


def _check_fields(path: Path, separator: str, n_columns: int) -> None:
    """Name the first row with more or fewer fields than the header."""
    with open_text(path, newline="") as stream:
        rows = csv.reader(stream, delimiter=separator)
        for row in rows:
            blank = not row or (len(row) == 1 and not row[0].strip())
            if len(row) != n_columns and not blank:
                msg = f"{path}, line {rows.line_num}: expected {n_columns} fields, got {len(row)}."
                raise ValueError(msg)


def _chunks(path: Path, rows: int | None, columns: list[str] | None, *, separator: str) -> Iterator[pd.DataFrame]:
    """Read a delimited table; floats to the last bit, blank fields as NaN."""
    names: list[str] = []
    try:
        names = _header(path, separator)
        check_columns(path, names, columns)
        other = "\t" if separator == "," else ","
        if len(names) == 1 and other in names[0]:
            msg = f"{path}: the header has no {separator!r} but {other!r}: this looks like another format."
            raise ValueError(msg)
        with for_pandas(path) as source, warnings.catch_warnings():
            # A first row that is too long is a warning to pandas, which then cuts it; later ones are errors.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # All columns, also where few are wanted: with usecols pandas lets too long rows pass.
            parsed: Any = pd.read_csv(**source, sep=separator, index_col=False, chunksize=rows, **EXACT)
            checked = False
            with frames(parsed, rows is None) as parts:
                for frame in parts:
                    # pandas fills short rows with NaN without a word; they lack the last field at least.
                    if not checked and len(frame) and frame.iloc[:, -1].isna().any():
                        _check_fields(path, separator, len(names))
                        checked = True
                    if rows is not None:
                        frame = frame.reset_index(drop=True)
                    yield frame if columns is None else frame.loc[:, columns]
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _check_fields(path, separator, len(names))
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None


def _write(stream: BinaryIO, table: Any, *, separator: str, header: bool = True) -> None:
    """Write a delimited table with the shortest text that gives each float back."""
    columns = table_columns(table)
    wide = [name for name, values in columns.items() if values.ndim != 1]
    if wide:
        msg = f"text tables hold one number per event and column; {wide[0]!r} has shape {columns[wide[0]].shape}."
        raise ValueError(msg)
    pd.DataFrame(columns).to_csv(stream, sep=separator, index=False, header=header, lineterminator="\n")


def _looks_like(separator: bytes) -> Any:
    def recognises(head: bytes) -> bool:
        line = head.lstrip(b"\xef\xbb\xbf").lstrip().split(b"\n")[0]
        return separator in line and b"=" not in line

    return recognises


def _format(name: str, separator: str) -> Format:
    return Format(
        name,
        (f".{name}",),
        None,
        partial(_chunks, separator=separator),
        partial(_write, separator=separator),
        _looks_like(separator.encode()),
        partial(_write, separator=separator, header=False),
    )


FORMATS = (_format("tsv", "\t"), _format("csv", ","))
