"""What a file format must say of itself, and the checks that all of them need."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa.data.dataset import Dataset


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name
        For messages.
    suffixes
        Lower-case, with the dot.
    magic
        The bytes that every file of this format starts with, or None for text.
    chunks
        ``chunks(path, rows, columns, **options)`` yields tables of at most so many events; rows None: the whole
        file as one; columns None: all.
    write
        ``write(stream, table)``.
    append
        ``append(stream, table)`` writes a further piece after `write`, for formats that can be written piece by piece.
    recognises
        ``recognises(head)`` tells whether text looks like this format; for files whose suffix tells nothing.
    options
        Names of keyword arguments that ``chunks``, ``parts`` and ``count`` take besides.
    parts
        ``parts(path, rows, columns, start, **options)`` yields tables of at most so many events, from event ``start``
        on. Little more than what it yields is in memory, and it may run in a thread beside others. None: the format
        can only be read as a whole, or has no named columns.
    count
        ``count(path, **options)`` returns how many events ``parts`` gives from event 0 on.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes | None
    chunks: Callable[..., Iterator[Any]]
    write: Callable[[BinaryIO, Any], None]
    recognises: Callable[[bytes], bool] | None = None
    append: Callable[[BinaryIO, Any], None] | None = None
    options: tuple[str, ...] = ()
    parts: Callable[..., Iterator[Any]] | None = None
    count: Callable[..., int] | None = None


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into one clear ValueError.

    numpy, tarfile, uproot and pyarrow let a wrong byte surface as almost any exception of their own or of Python.
    """
    try:
        yield
    except (ModuleNotFoundError, MemoryError, Warning):
        raise
    except Exception as error:
        if isinstance(error, (ValueError, TypeError)) and str(error).startswith(str(path)):
            raise
        reason = str(error).strip().split("\n")[0][:200]
        msg = f"{path} is damaged: {type(error).__name__}: {reason}"
        raise ValueError(msg) from None


def as_names(columns: Any) -> list[str]:
    """Return the names of columns that the user gave, one or many."""
    names = [columns] if isinstance(columns, str) else list(columns) if isinstance(columns, Iterable) else [columns]
    foreign = [name for name in names if not isinstance(name, str)]
    if foreign:
        msg = f"columns must be names, as strings, got {foreign[0]!r} ({type(foreign[0]).__name__})."
        raise TypeError(msg)
    return names


def as_mapping(columns: Any) -> dict[str, str] | None:
    """Return the names wanted by the file's own, in the order wanted; None: all."""
    if columns is None:
        return None
    old = as_names(columns)
    new = as_names(columns.values()) if isinstance(columns, Mapping) else old
    twice = sorted({n for n in new if new.count(n) > 1})
    if twice or not new:
        found = f"{known(twice)} occur more than once" if twice else "got none"
        msg = f"columns must be different names, at least one: {found}."
        raise ValueError(msg)
    return dict(zip(old, new, strict=True))


def check_columns(path: Path, have: Sequence[str], wanted: Iterable[str] | None) -> None:
    """Refuse names that occur twice in the file and wanted names that it lacks."""
    twice = sorted({n for n in have if list(have).count(n) > 1})
    if twice:
        msg = f"{path}: column names must be different, {known(twice)} occur more than once."
        raise ValueError(msg)
    missing = [n for n in wanted or () if n not in have]
    if missing:
        msg = f"{path}: no column {known(missing)}; the file has: {known(have)}."
        raise ValueError(msg)


def no_columns(path: Path, columns: Any, holds: str) -> None:
    """Refuse a choice of columns for a format that has none."""
    if columns is not None:
        msg = f"{path} holds {holds}, which has no columns to choose from."
        raise ValueError(msg)


def is_flat(table: Any) -> bool:
    """Tell whether a table is plain values, without column names."""
    return isinstance(table, (list, np.ndarray, pd.Series)) and getattr(table, "dtype", np.dtype(float)).names is None


def as_table(columns: dict[str, np.ndarray]) -> pd.DataFrame | Dataset:
    """Return a DataFrame, or a Dataset where columns have several numbers per event."""
    return Dataset(columns) if any(values.ndim > 1 for values in columns.values()) else pd.DataFrame(columns)


def slices(n_events: int, rows: int | None, first: int = 0) -> Iterator[slice]:
    """Yield the rows of each chunk from ``first`` on; one chunk, perhaps without rows, for the whole."""
    if rows is None or n_events - first <= rows:
        yield slice(first, max(first, n_events))
        return
    for start in range(first, n_events, rows):
        yield slice(start, min(n_events, start + rows))
