"""Delimited text: csv and tsv, with a header line."""

import csv
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, check_columns

# pandas before 3.1 reads floats to the last bit only when asked; since then it does, and deprecates the question.
_EXACT: dict[str, Any] = {}
if tuple(int(n) for n in pd.__version__.split(".")[:2]) < (3, 1):
    _EXACT = {"float_precision": "round_trip"}


def _header(path: Path, separator: str) -> list[str]:
    """Return the names in the first line that is not blank."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.reader(file, delimiter=separator):
            if any(cell.strip() for cell in row):
                return row
    msg = f"{path} has no header line."
    raise ValueError(msg)


def _may_be_ragged(path: Path, separator: str, n_columns: int) -> bool:
    """Tell whether rows can be shorter than the header; longer ones pandas finds itself."""
    with path.open("rb") as file:
        content = file.read()
    if b'"' in content:
        return True
    lines = content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n") + (content[-1:] not in b"\r\n")
    return content.count(separator.encode()) != (n_columns - 1) * lines


def _check_fields(path: Path, separator: str, n_columns: int) -> None:
    """Name the first row with more or fewer fields than the header."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=separator)
        for row in rows:
            blank = not row or (len(row) == 1 and not row[0].strip())
            if len(row) != n_columns and not blank:
                msg = f"{path}, line {rows.line_num}: expected {n_columns} fields, got {len(row)}."
                raise ValueError(msg)


def _read(path: Path, columns: list[str] | None, separator: str) -> pd.DataFrame:
    """Read a delimited table; floats to the last bit, blank fields as NaN."""
    try:
        names = _header(path, separator)
        check_columns(path, names, columns)
        other = "\t" if separator == "," else ","
        if len(names) == 1 and other in names[0]:
            msg = f"{path}: the header has no {separator!r} but {other!r}: this looks like another format."
            raise ValueError(msg)
        # pandas fills short rows with NaN without a word.
        if _may_be_ragged(path, separator, len(names)):
            _check_fields(path, separator, len(names))
        with warnings.catch_warnings():
            # A first row that is too long is a warning to pandas, which then cuts it; later ones are errors.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # All columns, also where few are wanted: with usecols pandas lets too long rows pass.
            frame: pd.DataFrame = pd.read_csv(path, sep=separator, encoding="utf-8-sig", index_col=False, **_EXACT)
    except UnicodeDecodeError as error:
        msg = f"{path} is no text in UTF-8: {error}."
        raise ValueError(msg) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _check_fields(path, separator, len(names))
        msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None
    return frame if columns is None else frame.loc[:, columns]


def _write(path: Path, table: Any, separator: str) -> None:
    """Write a delimited table with the shortest text that gives each float back."""
    columns = table_columns(table)
    wide = [name for name, values in columns.items() if values.ndim != 1]
    if wide:
        msg = f"text tables hold one number per event and column; {wide[0]!r} has shape {columns[wide[0]].shape}."
        raise ValueError(msg)
    pd.DataFrame(columns).to_csv(path, sep=separator, index=False, lineterminator="\n")


FORMATS = (
    Format("csv", (".csv",), None, partial(_read, separator=","), partial(_write, separator=",")),
    Format("tsv", (".tsv",), None, partial(_read, separator="\t"), partial(_write, separator="\t")),
)
