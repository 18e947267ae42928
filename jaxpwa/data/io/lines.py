"""Files with one thing per line: flat numbers (txt), pass/fail masks (pf), selections (sel), key=value (kvars)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, check_columns, is_flat, no_columns
from jaxpwa.data.io.source import open_text, open_to_read

_LINES_AT_ONCE = 1 << 16


def _batches(path: Path, rows: int | None, start: int = 0) -> Iterator[list[tuple[int, str]]]:
    """Yield lists of numbered, stripped lines that are not blank, so many at a time, without the first ``start``."""
    batch: list[tuple[int, str]] = []
    with open_text(path) as stream:
        for number, line in enumerate(stream, 1):
            if line := line.strip():
                if start:
                    start -= 1
                    continue
                batch.append((number, line))
                if rows is not None and len(batch) == rows:
                    yield batch
                    batch = []
    if batch:
        yield batch


def _count(path: Path) -> int:
    """Return the number of lines that are not blank."""
    with open_text(path) as stream:
        return sum(1 for line in stream if line.strip())


def _numbers(path: Path, batch: list[tuple[int, str]], dtype: type) -> np.ndarray:
    """Turn lines into numbers, naming the first that is none."""
    try:
        return np.array([line for _, line in batch]).astype(dtype)
    except (ValueError, OverflowError):
        for number, line in batch:
            try:
                np.array([line]).astype(dtype)
            except (ValueError, OverflowError):
                what = "whole number" if dtype is not np.float64 else "number"
                msg = f"{path}, line {number}: expected one {what}, got {line[:60]!r}."
                raise ValueError(msg) from None
        raise


def _flat_chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[np.ndarray]:
    """Read one float per line."""
    no_columns(path, columns, "one number per line")
    for batch in _batches(path, rows):
        yield _numbers(path, batch, np.float64)


_TRUTH = {"0": False, "1": True, "0.0": False, "1.0": True, "False": False, "True": True}


def _mask_chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[np.ndarray]:
    """Read a mask: 0 or 1 per line."""
    no_columns(path, columns, "a mask")
    for batch in _batches(path, rows):
        values = [line for _, line in batch]
        foreign = sorted(set(values) - set(_TRUTH))
        if foreign:
            number = next(n for n, line in batch if line in foreign)
            msg = f"{path}, line {number}: a mask holds 0 and 1 only, got {known(v[:20] for v in foreign)}."
            raise ValueError(msg)
        yield np.array([_TRUTH[v] for v in values])


def _selection_chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[np.ndarray]:
    """Read event indices, one per line."""
    no_columns(path, columns, "event indices")
    for batch in _batches(path, rows):
        values = _numbers(path, batch, np.int64)
        if (values < 0).any():
            number = batch[int(np.argmax(values < 0))][0]
            msg = f"{path}, line {number}: event indices must not be negative."
            raise ValueError(msg)
        yield values


def _kvars_chunks(path: Path, rows: int | None, columns: list[str] | None, start: int = 0) -> Iterator[pd.DataFrame]:
    """Read lines of ``name=number,name=number``, by name, whatever the order."""
    names: list[str] | None = None
    for batch in _batches(path, rows, start):
        table: list[list[float]] = []
        for number, line in batch:
            fields = [field.partition("=") for field in line.split(",")]
            keys = [key.strip() for key, _, _ in fields]
            if names is None:
                names = keys
                check_columns(path, names, columns)
            try:
                values = [float(value) for _, _, value in fields]
            except ValueError:
                key = next(k for k, (_, _, v) in zip(keys, fields, strict=True) if not _is_number(v))
                msg = f"{path}, line {number}: key {key!r} has no number after '='."
                raise ValueError(msg) from None
            if keys != names:
                if sorted(keys) != sorted(names):
                    msg = f"{path}, line {number}: expected the keys {known(names)}, got {known(keys)}."
                    raise ValueError(msg)
                values = [values[keys.index(name)] for name in names]
            table.append(values)
        frame = pd.DataFrame(np.array(table, np.float64), columns=names)
        yield frame if columns is None else frame.loc[:, columns]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _flat_array(table: Any, what: str) -> np.ndarray:
    if isinstance(table, (pd.DataFrame, dict)) or not hasattr(table, "__len__"):
        msg = f"{what} files hold one value per line, got {type(table).__name__}."
        raise TypeError(msg)
    array = np.asarray(table)
    if array.ndim != 1 or array.dtype.names is not None:
        msg = f"{what} files hold one value per line, got an array of shape {array.shape} and dtype {array.dtype}."
        raise ValueError(msg)
    return array


def _write_lines(stream: BinaryIO, lines: Iterator[str] | list[str]) -> None:
    lines = list(lines)
    for start in range(0, len(lines), _LINES_AT_ONCE):
        stream.write(("\n".join(lines[start : start + _LINES_AT_ONCE]) + "\n").encode())


def _write_txt(stream: BinaryIO, table: Any) -> None:
    """Write flat numbers, or a table as kvars."""
    if is_flat(table):
        array = _flat_array(table, "flat txt").astype(np.float64)
        _write_lines(stream, [repr(v) for v in array.tolist()])
    else:
        _write_kvars(stream, table)


def _write_kvars(stream: BinaryIO, table: Any) -> None:
    """Write ``name=number`` with the shortest text that gives each number back."""
    columns = table_columns(table)
    for name, values in columns.items():
        if values.ndim != 1 or values.dtype.kind not in "fiub":
            msg = f"kvars files hold one real number per key; {name!r} has shape {values.shape}, dtype {values.dtype}."
            raise ValueError(msg)
        if not name.strip() or name != name.strip() or set(name) & set(",=\r\n"):
            msg = f"kvars files can't hold a column named {name!r}: no commas, equal signs or blank ends."
            raise ValueError(msg)
    parts = [[f"{name}={v!r}" for v in values.astype(np.float64).tolist()] for name, values in columns.items()]
    _write_lines(stream, [",".join(row) for row in zip(*parts, strict=True)])


def _write_mask(stream: BinaryIO, table: Any) -> None:
    """Write 0 or 1 per line."""
    array = _flat_array(table, "mask")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        msg = "masks hold 0 and 1 only."
        raise ValueError(msg)
    _write_lines(stream, np.where(array.astype(bool), "1", "0").tolist())


def _write_selection(stream: BinaryIO, table: Any) -> None:
    """Write event indices; a mask becomes the indices of its true entries."""
    array = _flat_array(table, "selection")
    if array.dtype == bool:
        array = np.flatnonzero(array)
    if array.dtype.kind not in "iu" or (array < 0).any():
        msg = f"selections hold event indices, whole numbers from 0 on, got dtype {array.dtype}."
        raise ValueError(msg)
    _write_lines(stream, [str(v) for v in array.tolist()])


def _first_line(head: bytes) -> str:
    return head.decode("utf-8-sig", "replace").strip().split("\n")[0].strip()


def _looks_like_kvars(head: bytes) -> bool:
    line = _first_line(head)
    return "=" in line and all("=" in field for field in line.split(","))


def _looks_flat(head: bytes) -> bool:
    return _is_number(_first_line(head))


def _is_kvars(path: Path) -> bool:
    with open_to_read(path) as stream:
        return b"=" in stream.read(4096).split(b"\n")[0]


def _either(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[Any]:
    """Read a txt file: kvars where its first line has an equal sign, else numbers."""
    reader: Callable = _kvars_chunks if _is_kvars(path) else _flat_chunks
    yield from reader(path, rows, columns)


def _kvars_parts(path: Path, rows: int, columns: list[str] | None, start: int) -> Iterator[pd.DataFrame]:
    """Read a txt file that is kvars, from an event on."""
    if not _is_kvars(path):
        no_columns(path, columns or (), "one number per line")
    yield from _kvars_chunks(path, rows, columns, start)


FORMATS = (
    Format(
        "kvars",
        (".kvars",),
        None,
        _kvars_chunks,
        _write_kvars,
        _looks_like_kvars,
        _write_kvars,
        (),
        _kvars_chunks,
        _count,
    ),
    Format("txt", (".txt",), None, _either, _write_txt, _looks_flat, _write_txt, (), _kvars_parts, _count),
    Format("mask", (".pf",), None, _mask_chunks, _write_mask, None, _write_mask),
    Format("selection", (".sel",), None, _selection_chunks, _write_selection, None, _write_selection),
)
