"""Files as PyPWA's `read` and `write` give and take them, on top of jaxpwa's formats.

===================================  ======================================  ================================
file                                 `read` gives                            with ``use_pandas=True``
===================================  ======================================  ================================
.csv, .tsv, .kvars, .root, .npz,     aligned structured array                DataFrame
.parquet, .txt of ``name=number``
.txt of numbers                      array of float64                        Series
.pf                                  array of bool                           Series
.sel                                 array of uint32                         Series
.npy                                 aligned structured array, or as stored  DataFrame or Series
.gamp                                `ParticlePool`                          TypeError
.pgz                                 what was written                        as above
===================================  ======================================  ================================

No file is ever unpickled, caches included.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import jaxpwa
from jaxpwa_compat.tables import pandas_to_numpy
from jaxpwa_compat.vectors import ParticlePool

FileName = str | os.PathLike


class DataType(IntEnum):
    """What a file holds, event by event."""

    BASIC = 0
    """One number."""
    STRUCTURED = 1
    """Named columns."""
    TREE_VECTOR = 2
    """Particles."""


class FileFormatError(RuntimeError, ValueError):
    """No format fits: PyPWA says so by a RuntimeError, jaxpwa by a ValueError, and either ``except`` finds this one."""


_COMPRESSIONS = (".gz", ".bz2", ".xz")
_WRITABLE = {
    DataType.BASIC: (".txt", ".npy", ".pf", ".sel", ".pgz"),
    DataType.STRUCTURED: (".csv", ".tsv", ".kvars", ".txt", ".npy", ".npz", ".pgz", ".root", ".parquet", ".pq"),
    DataType.TREE_VECTOR: (".gamp", ".pgz"),
}
_CONTENT = {
    DataType.BASIC: "numbers without a column name",
    DataType.STRUCTURED: "a table",
    DataType.TREE_VECTOR: "four-vectors",
}
_ADVICE = {
    DataType.BASIC: " For a table of one column, pass {'x': data}.",
    DataType.STRUCTURED: " For one column without its name, pass data['x'].",
    DataType.TREE_VECTOR: "",
}


@contextmanager
def naming_plugins(path: Path) -> Iterator[None]:
    """Turn jaxpwa's refusal of a file into the error that PyPWA's users catch, and say what to do."""
    try:
        yield
    except ValueError as error:
        msg = (
            f"Couldn't find plugin for {path}: {error} Repair the file, or rename it if its suffix is not that of its "
            "content: .csv, .tsv, .kvars, .txt, .pf, .sel, .gamp, .npy, .pgz."
        )
        raise FileFormatError(msg) from None


def data_suffix(path: Path) -> str:
    """Return the suffix in lower case, of what was compressed where the last one tells of a compression."""
    inner = path.with_suffix("") if path.suffix.lower() in _COMPRESSIONS else path
    return inner.suffix.lower()


def destination(filename: FileName, kind: DataType) -> Path:
    """Return the file that data of this kind go to.

    Parameters
    ----------
    filename
        As the user gave it; plain numbers without a suffix get ``.npy``.
    kind
        What will be written.

    Raises
    ------
    FileFormatError
        If no format of this suffix holds such data.
    """
    path = Path(filename)
    if not path.suffix and kind is DataType.BASIC:
        return path.with_name(path.name + ".npy")
    if not path.suffix and kind is DataType.STRUCTURED:
        return path
    if data_suffix(path) not in _WRITABLE[kind]:
        msg = (
            f"Couldn't find plugin for {path}: the data are {_CONTENT[kind]}, which go to "
            f"{', '.join(_WRITABLE[kind])}; got the suffix {path.suffix!r}.{_ADVICE[kind]}"
        )
        raise FileFormatError(msg)
    return path


def drop_cache(path: Path) -> None:
    """Remove the cache that `read` keeps beside a file, where there is one and the folder lets us."""
    with suppress(OSError):
        path.with_name(path.name + ".cache").unlink()


def as_structured(table: Any) -> np.ndarray:
    """Return a DataFrame, or a Dataset with several numbers per event and column, as an aligned structured array."""
    if isinstance(table, pd.DataFrame):
        return pandas_to_numpy(table)
    fields: list[Any] = [(name, values.dtype, values.shape[1:]) for name, values in table.columns.items()]
    array = np.empty(len(table), np.dtype(fields, align=True))
    for name, values in table.columns.items():
        array[name] = values
    return array


def refuse_pandas(table: Any, path: Path) -> None:
    """Refuse what no DataFrame or Series can hold."""
    if isinstance(table, jaxpwa.ParticleTable):
        holds = "four-vectors"
    elif isinstance(table, jaxpwa.Dataset):
        holds = "several numbers per event and column"
    elif isinstance(table, np.ndarray) and table.ndim != 1:
        holds = f"an array of shape {table.shape}"
    else:
        return
    msg = f"use_pandas must be False for {path}, got True: the file holds {holds}, which pandas can't."
    raise TypeError(msg)


def as_pypwa(table: Any, path: Path, use_pandas: bool) -> Any:
    """Turn what jaxpwa read from ``path`` into what PyPWA's `read` returns."""
    if use_pandas:
        refuse_pandas(table, path)
    if isinstance(table, jaxpwa.ParticleTable):
        return ParticlePool.from_table(table)
    if not isinstance(table, np.ndarray):
        return table if use_pandas else as_structured(table)
    if data_suffix(path) == ".sel" and table.dtype.kind == "i":
        if table.size and table.max() > np.iinfo(np.uint32).max:
            msg = f"{path}: event indices must be below 2**32 to be uint32, got {table.max()}: use jaxpwa.read."
            raise FileFormatError(msg)
        table = table.astype(np.uint32)
    return pd.Series(table) if use_pandas else table


def read(filename: FileName, use_pandas: bool = False, cache: bool = True, clear_cache: bool = False) -> Any:
    """Read a file of events.

    Parameters
    ----------
    filename
        The file. Content decides the format where it is unmistakable, else the suffix, else the look of the text.
    use_pandas
        Return pandas objects in place of numpy arrays.
    cache
        Keep the parsed data beside the file, in ``<name>.cache`` (``set1.csv.cache``), and use them as long as the
        file's content is the same. A cache that is missing, damaged, of PyPWA or can't be written costs a parse.
    clear_cache
        Remove that cache first.

    Returns
    -------
    numpy.ndarray, pandas.DataFrame, pandas.Series or ParticlePool
        As in the table of this module; one entry per event. Whole-number columns stay so, columns of several numbers
        per event are fields with a shape.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the format is unknown or the file is damaged; a RuntimeError (as in PyPWA) and a ValueError.
    TypeError
        If ``use_pandas`` asks for what pandas can't hold.
    """
    path = Path(filename)
    if clear_cache:
        drop_cache(path)
    with naming_plugins(path):
        table = jaxpwa.read(path, cache=cache)
    return as_pypwa(table, path, use_pandas)


def _kind_and_table(data: Any) -> tuple[DataType, Any]:
    """Tell what kind of data these are, and return them as jaxpwa takes them."""
    if isinstance(data, ParticlePool):
        return DataType.TREE_VECTOR, data.to_table()
    if isinstance(data, jaxpwa.ParticleTable):
        return DataType.TREE_VECTOR, data
    if isinstance(data, (pd.DataFrame, Mapping, jaxpwa.Dataset)):
        return DataType.STRUCTURED, data
    array = np.asarray(data)
    if array.dtype.names is not None:
        return DataType.STRUCTURED, np.atleast_1d(array)
    if array.dtype.kind not in "fiubc":
        msg = (
            "data must be a DataFrame, a structured array, a dict of arrays, a ParticlePool, or an array or Series of "
            f"numbers, got {type(data).__name__} of {array.dtype}."
        )
        raise TypeError(msg)
    return DataType.BASIC, array


def write(filename: FileName, data: Any, cache: bool = True, clear_cache: bool = False) -> None:
    """Write events to a file; reading it again gives the same numbers to the last bit.

    Parameters
    ----------
    filename
        The file; one that exists is replaced as a whole, and stays where writing fails. Its suffix decides the
        format. Without a suffix, tables become lines of ``name=number,name=number`` (as they do in ``.txt``), plain
        numbers a numpy file with ``.npy`` appended.
    data
        DataFrame (its index is not written), structured array, dict of arrays; array or Series of one number per
        event (paired by position); `ParticlePool` for ``.gamp`` and ``.pgz``.
    cache, clear_cache
        Without effect: a cache of the old content is removed in any case, and the next `read` makes a new one.

    Raises
    ------
    FileFormatError
        If no format of this suffix holds such data; a RuntimeError (as in PyPWA) and a ValueError.
    TypeError, ValueError
        If ``data`` are no events, or the format can't hold some value or column.
    FileNotFoundError
        If there is no such folder.
    """
    kind, table = _kind_and_table(data)
    path = destination(filename, kind)
    if path.suffix:
        jaxpwa.write(path, table)
    else:
        _write_unnamed(path, table)
    drop_cache(path)


def _write_unnamed(path: Path, table: Any) -> None:
    """Write ``name=number`` lines to a file without a suffix, which jaxpwa takes the format from."""
    if not path.parent.is_dir():
        msg = f"no such folder: {path.parent}"
        raise FileNotFoundError(msg)
    # In the same folder, so that the move is one step.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / "table.kvars"
        jaxpwa.write(temporary, table)
        os.replace(temporary, path)
