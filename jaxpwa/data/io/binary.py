"""Numpy's own files: npy, and npz as a table of its members."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, as_table, check_columns, no_columns, parsing, slices


def _refuse_pickle(path: Path, error: Exception) -> Exception:
    """Return the refusal of pickled objects, or the error as it is."""
    if any(sign in str(error).lower() for sign in ("pickle", "object array", "python objects")):
        return ValueError(f"{path} holds pickled Python objects, which can run code when loaded: refused.")
    return error


def _npy_array(path: Path, mapped: bool) -> np.ndarray:
    """Return the array of a file, in memory or mapped."""
    with parsing(path):
        try:
            if mapped:
                array = np.load(path, allow_pickle=False, mmap_mode="r")
            else:
                with path.open("rb") as file:
                    array = np.load(file, allow_pickle=False)
        except ValueError as error:
            raise _refuse_pickle(path, error) from None
    if array.ndim == 0:
        msg = f"{path} holds a single entry, not one per event."
        raise ValueError(msg)
    return array


def _reader(path: Path, array: np.ndarray) -> Callable[[slice], np.ndarray]:
    """Return what gives some rows of an array in memory."""
    if not isinstance(array, np.memmap) or not array.flags.c_contiguous:
        return lambda part: np.array(array[part])
    size = math.prod(array.shape[1:])

    def rows_of(part: slice) -> np.ndarray:
        # Pages of a map count as memory of the process for as long as it is open.
        offset = array.offset + part.start * size * array.itemsize
        n_rows = part.stop - part.start
        with parsing(path):
            return np.fromfile(path, array.dtype, n_rows * size, offset=offset).reshape(n_rows, *array.shape[1:])

    return rows_of


def _npy_count(path: Path) -> int:
    return len(_npy_array(path, True))


def _npy_chunks(path: Path, rows: int | None, columns: list[str] | None, start: int = 0) -> Iterator[Any]:
    """Read a structured array as a table, a plain one as it is; pickled objects are refused."""
    array = _npy_array(path, rows is not None)
    rows_of = _reader(path, array)
    names = array.dtype.names
    if names is None:
        no_columns(path, columns, "a plain array")
        for part in slices(len(array), rows, start):
            yield rows_of(part) if rows is not None else array
        return
    check_columns(path, names, columns)
    for part in slices(len(array), rows, start):
        table = rows_of(part)
        yield _copied({name: table[name] for name in (columns or names)})


def _copied(columns: dict[str, np.ndarray]) -> Any:
    """Return a table of its own memory, in the byte order of this machine: pandas and JAX take no other."""
    return as_table({name: np.array(values, values.dtype.newbyteorder("=")) for name, values in columns.items()})


def _npz_chunks(path: Path, rows: int | None, columns: list[str] | None) -> Iterator[Any]:
    """Read the arrays of an npz file as the columns of a table."""
    with parsing(path):
        try:
            # numpy leaves a damaged file open when it opens it itself.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
                check_columns(path, members.files, columns)
                arrays = {name: members[name] for name in (columns or members.files)}
        except ValueError as error:
            raise _refuse_pickle(path, error) from None
    if not arrays:
        msg = f"{path} holds no columns."
        raise ValueError(msg)
    table = table_columns(arrays)
    n_events = len(next(iter(table.values())))
    for part in slices(n_events, rows):
        yield _copied({name: values[part] for name, values in table.items()})


def _numbers(table: Any) -> dict[str, np.ndarray]:
    columns = {name: np.asarray(values) for name, values in table_columns(table).items()}
    for name, values in columns.items():
        if values.dtype.hasobject:
            msg = f"npy files hold numbers, and column {name!r} holds {values.dtype}: convert or drop it."
            raise TypeError(msg)
    return columns


def _write_npy(stream: BinaryIO, table: Any) -> None:
    """Write a plain array as it is, a table as a structured array."""
    if isinstance(table, np.ndarray):
        array = table
        if array.dtype.hasobject:
            msg = f"npy files hold numbers, not {array.dtype}."
            raise TypeError(msg)
    else:
        columns = _numbers(table)
        length = len(next(iter(columns.values())))
        array = np.empty(length, [(name, v.dtype, v.shape[1:]) for name, v in columns.items()])
        for name, values in columns.items():
            array[name] = values
    np.save(stream, array, allow_pickle=False)


def _write_npz(stream: BinaryIO, table: Any) -> None:
    """Write each column as a member."""
    columns: dict[str, Any] = _numbers(table)
    if "file" in columns:
        msg = "npz files can't hold a column named 'file': rename it."
        raise ValueError(msg)
    np.savez(stream, **columns)


FORMATS = (
    Format("npy", (".npy",), b"\x93NUMPY", _npy_chunks, _write_npy, parts=_npy_chunks, count=_npy_count),
    Format("npz", (".npz",), b"PK\x03\x04", _npz_chunks, _write_npz),
)
