"""Delimited text: csv and tsv, with a header line."""

import csv
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.delimited import EXACT, Irregular, regular_lines, unnamed
from jaxpwa.data.io.format import Format, check_columns, slices
from jaxpwa.data.io.source import for_pandas, frames, open_text

_ROWS_TO_COUNT = 1 << 16


def _is_blank(row: list[str]) -> bool:
    """Tell whether a line is one that the parser skips."""
    return not row or (len(row) == 1 and not row[0].strip())


def _header(path: Path, separator: str) -> list[str]:
    """Return the names in the first line that is not blank, with the parser's own where one is empty."""
    with open_text(path, newline="") as stream:
        for row in csv.reader(stream, delimiter=separator):
            if _is_blank(row):
                continue
            if not any(cell.strip() for cell in row):
                break
            return [name or unnamed(number) for number, name in enumerate(row)]
    msg = f"{path} has no header line."
    raise ValueError(msg)


def _check_fields(path: Path, separator: str, n_columns: int, only_long: bool = False) -> None:
    """Name the first row with more or fewer fields than the header, or with more that are not one empty one."""
    with open_text(path, newline="") as stream:
        rows = csv.reader(stream, delimiter=separator)
        for row in rows:
            allowed = _is_blank(row) or (
                only_long and (len(row) < n_columns or (len(row) == n_columns + 1 and not row[-1]))
            )
            if len(row) != n_columns and not allowed:
                msg = f"{path}, line {rows.line_num}: expected {n_columns} fields, got {len(row)}."
                raise ValueError(msg)


def _names(path: Path, separator: str, columns: list[str] | None) -> list[str]:
    """Return the names in the header, which must be of this format and have the columns wanted."""
    names = _header(path, separator)
    check_columns(path, names, columns)
    other = "\t" if separator == "," else ","
    if len(names) == 1 and other in names[0]:
        msg = f"{path}: the header has no {separator!r} but {other!r}: this looks like another format."
        raise ValueError(msg)
    return names


def _chunks(path: Path, rows: int | None, columns: list[str] | None, *, separator: str) -> Iterator[pd.DataFrame]:
    """Read a delimited table; floats to the last bit, blank fields as NaN."""
    names: list[str] = []
    try:
        names = _names(path, separator, columns)
        with warnings.catch_warnings():
            # A first row that is too long is a warning to pandas, which then cuts it; later ones are errors.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield from _frames(path, rows, columns, separator, len(names))
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _check_fields(path, separator, len(names))
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None


def _frames(
    path: Path, rows: int | None, columns: list[str] | None, separator: str, n_columns: int, **options: Any
) -> Iterator[pd.DataFrame]:
    """Parse with pandas, and refuse rows that are too short."""
    with for_pandas(path) as source:
        # All columns, also where few are wanted: with usecols pandas lets too long rows pass.
        parsed: Any = pd.read_csv(**source, sep=separator, index_col=False, chunksize=rows, **options, **EXACT)
        checked = False
        with frames(parsed, rows is None) as parts:
            for frame in parts:
                # pandas fills short rows with NaN without a word; they lack the last field at least.
                if not checked and len(frame) and frame.iloc[:, -1].isna().any():
                    _check_fields(path, separator, n_columns)
                    checked = True
                if rows is not None:
                    frame = frame.reset_index(drop=True)
                yield frame if columns is None else frame.loc[:, columns]


def _parts(path: Path, rows: int, columns: list[str] | None, start: int, *, separator: str) -> Iterator[pd.DataFrame]:
    """Read a delimited table from a row on, in a thread beside others."""
    names = _names(path, separator, columns)
    skipped, done = 0, start
    try:
        for lines in regular_lines(path, separator, names):
            first = done - skipped
            skipped += len(lines)
            if first >= len(lines):
                continue
            lines.check_fields(separator, len(names))
            for part in slices(len(lines), rows, first):
                yield lines.parse(part, separator, names, columns)
                done += part.stop - part.start
        if not skipped:
            yield pd.DataFrame({name: np.empty(0) for name in columns or names})
        return
    except Irregular:
        pass
    except UnicodeDecodeError as error:
        msg = f"{path} is no text in UTF-8: {error}."
        raise ValueError(msg) from None
    except pd.errors.ParserError as error:
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None
    for frame in _judged(path, rows, columns, separator, names):
        if done < len(frame):
            yield frame.iloc[done:].reset_index(drop=True) if done else frame
        done = max(0, done - len(frame))


def _judged(
    path: Path, rows: int, columns: list[str] | None, separator: str, names: list[str]
) -> Iterator[pd.DataFrame]:
    """Read irregular text with pandas.

    As in `_chunks`, but the rows that pandas would warn of are found before: turning warnings into errors is for the
    whole process, and this runs in a thread.
    """
    try:
        _check_fields(path, separator, len(names), only_long=True)
        yield from _frames(path, rows, columns, separator, len(names), low_memory=False)
    except (csv.Error, pd.errors.ParserError) as error:
        _check_fields(path, separator, len(names))
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None


def _count(path: Path, *, separator: str) -> int:
    """Return how many rows the parser finds."""
    names = _names(path, separator, None)
    try:
        return sum(len(lines) for lines in regular_lines(path, separator, names))
    except Irregular:
        return sum(len(frame) for frame in _judged(path, _ROWS_TO_COUNT, None, separator, names))


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
        parts=partial(_parts, separator=separator),
        count=partial(_count, separator=separator),
    )


FORMATS = (_format("tsv", "\t"), _format("csv", ","))
