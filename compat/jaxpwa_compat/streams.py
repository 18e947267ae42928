"""Files event by event: `get_reader` and `get_writer`."""

import weakref
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

import jaxpwa
from jaxpwa_compat.files import DataType as DataType
from jaxpwa_compat.files import FileName, as_pypwa, as_structured, destination, naming_plugins, refuse_pandas, write
from jaxpwa_compat.vectors import Particle, ParticlePool

_ROWS = 1 << 14


class Reader:
    """The events of a file, one after the other; `get_reader` makes one.

    Every event is an object of its own (PyPWA fills the same one again and again). Files are read piece by piece;
    whether a csv column holds whole numbers is told by piece.
    """

    def __init__(self, filename: FileName, use_pandas: bool = False) -> None:
        self._path = Path(filename)
        self._use_pandas = use_pandas
        self._count: int | None = None
        self._events: Iterator[Any] | None = None
        self.reset()

    def reset(self) -> None:
        """Start again with the first event; opens a closed reader again.

        Raises
        ------
        FileNotFoundError, FileFormatError, TypeError
            As `read`.
        """
        self.close()
        with naming_plugins(self._path):
            pieces = jaxpwa.iter_chunks(self._path, _ROWS)
            # The first piece tells what the file holds.
            first = next(pieces, None)
        if self._use_pandas:
            refuse_pandas(first, self._path)
        self._events = self._rows(chain(() if first is None else (first,), pieces))

    def _rows(self, pieces: Iterator[Any]) -> Iterator[Any]:
        """Yield the events of all pieces."""
        start = 0
        with naming_plugins(self._path):
            for piece in pieces:
                yield from self._rows_of(piece, start)
                start += len(piece)

    def _rows_of(self, piece: Any, start: int) -> Iterator[Any]:
        """Yield the events of a piece that starts with event ``start``."""
        if isinstance(piece, jaxpwa.ParticleTable):
            pool = ParticlePool.from_table(piece)
            yield from (pool[i : i + 1] for i in range(len(piece)))
        elif isinstance(piece, np.ndarray):
            yield from as_pypwa(piece, self._path, False)
        elif self._use_pandas:
            for i in range(len(piece)):
                row = piece.iloc[i]
                row.name = start + i
                yield row
        else:
            # Copied, so that an event that is kept does not keep its piece.
            yield from (row.copy() for row in as_structured(piece))

    def get_event_count(self) -> int:
        """Count the events of the whole file, wherever the reader is; the first call reads the file.

        Raises
        ------
        FileFormatError
            If the file is damaged.
        """
        if self._count is None:
            with naming_plugins(self._path):
                self._count = sum(len(piece) for piece in jaxpwa.iter_chunks(self._path, _ROWS))
        return self._count

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""
        self._events = None

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> Any:
        if self._events is None:
            msg = f"the reader of {self._path} is closed: call reset() to read again from the first event."
            raise ValueError(msg)
        return next(self._events)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def get_reader(filename: FileName, use_pandas: bool = False) -> Reader:
    """Open a file to read it event by event.

    Parameters
    ----------
    filename
        The file, of any kind that `read` takes.
    use_pandas
        Give rows of tables as Series, named by the number of the event, in place of structured rows.

    Returns
    -------
    Reader
        Yields, per event: a structured row (``row["x"]`` is a number) or a Series for tables, a number for files of
        plain numbers, a `ParticlePool` of one event for four-vectors. It has ``reset()``, ``get_event_count()`` and
        ``close()``, and is a context manager.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the format is unknown or the file is damaged, in the latter case perhaps when the event is reached.
    TypeError
        If ``use_pandas`` asks for what pandas can't hold.
    """
    return Reader(filename, use_pandas)


def _as_columns(row: Any) -> dict[str, np.ndarray]:
    """Copy events of a table, one or many, into columns; text as Python objects, beside which NaN stays NaN."""
    if isinstance(row, pd.Series):
        row = row.to_dict()
    if isinstance(row, np.void) and row.dtype.names is not None:
        columns = {name: np.array([row[name]]) for name in row.dtype.names}
    elif isinstance(row, Mapping):
        columns = jaxpwa.Dataset({name: np.atleast_1d(value) for name, value in row.items()}).columns
    elif isinstance(row, (pd.DataFrame, jaxpwa.Dataset)) or (isinstance(row, np.ndarray) and row.dtype.names):
        columns = jaxpwa.Dataset(np.atleast_1d(row) if isinstance(row, np.ndarray) else row).columns
    else:
        msg = (
            "row must be a structured row or array, a dict, a Series or a DataFrame for DataType.STRUCTURED, "
            f"got {type(row).__name__}."
        )
        raise TypeError(msg)
    # astype copies: PyPWA's users fill one row again and again.
    return {name: v.astype(object if v.dtype.kind in "US" else v.dtype) for name, v in columns.items()}


def _as_numbers(row: Any) -> np.ndarray:
    """Copy plain numbers, one or many, into an array of one dimension."""
    values = np.empty(0, object) if isinstance(row, Mapping) else np.array(row, ndmin=1)
    if values.dtype.kind not in "fiub" or values.ndim != 1:
        msg = f"row must be a number or an array of one number per event for DataType.BASIC, got {type(row).__name__}."
        raise TypeError(msg)
    return values


def _as_particles(row: Any) -> jaxpwa.ParticleTable:
    """Copy particles of events, one or many."""
    if isinstance(row, jaxpwa.ParticleTable):
        row = ParticlePool.from_table(row)
    if isinstance(row, (list, tuple)) and row and all(isinstance(particle, Particle) for particle in row):
        row = ParticlePool(list(row))
    if not isinstance(row, ParticlePool):
        msg = f"row must be a ParticlePool or a list of Particles for DataType.TREE_VECTOR, got {type(row).__name__}."
        raise TypeError(msg)
    return row.to_table()


def _joined(pieces: list[Any]) -> Any:
    """Put pieces of one kind together."""
    first = pieces[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(pieces)
    if isinstance(first, dict):
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in first}
    vectors = [np.concatenate(parts) for parts in zip(*(piece.p4 for piece in pieces), strict=True)]
    return jaxpwa.ParticleTable(zip(first.ids, first.charges, vectors, strict=True))


class _Rows:
    """Events that wait to be written, all of the kind of the first."""

    _convert = {
        DataType.BASIC: _as_numbers,
        DataType.STRUCTURED: _as_columns,
        DataType.TREE_VECTOR: _as_particles,
    }

    def __init__(self, filename: FileName, kind: DataType) -> None:
        self.path = destination(filename, kind)
        self._kind = kind
        self._mark: Any = None
        self._new: list[Any] = []
        self._old: list[Any] = []

    def add(self, row: Any) -> None:
        """Take one event or several."""
        piece = self._convert[self._kind](row)
        mark = _mark(piece)
        if self._mark is None:
            self._mark = mark
        elif mark != self._mark:
            msg = f"every row for {self.path} must be like the first one: expected {self._mark}, got {mark}."
            raise ValueError(msg)
        self._new.append(piece)
        if len(self._new) >= _ROWS:
            self._old.append(_joined(self._new))
            self._new = []

    def save(self) -> None:
        """Write the file."""
        if self._mark is None:
            msg = f"nothing to write to {self.path}: the writer got no rows, at least one is needed."
            raise ValueError(msg)
        write(self.path, _joined(self._old + self._new))

    def save_if_any(self) -> None:
        """Write the file where there is something to write."""
        if self._mark is not None:
            self.save()


def _mark(piece: Any) -> Any:
    """Tell what must be the same in every row, in words."""
    if isinstance(piece, dict):
        return f"the columns {', '.join(sorted(piece))}"
    if isinstance(piece, jaxpwa.ParticleTable):
        return f"(id, charge) {list(zip(piece.ids, piece.charges, strict=True))}"
    return "numbers"


class Writer:
    """A file that is given its events one after the other; `get_writer` makes one.

    The events are kept in memory, and the file is written as a whole at `close`: until then, and where that fails, an
    older file stays. A writer that is never closed writes when it is collected or Python ends.
    """

    def __init__(self, filename: FileName, dtype: DataType | int) -> None:
        try:
            kind = DataType(dtype)
        except ValueError:
            known = ", ".join(f"DataType.{kind.name} ({kind.value})" for kind in DataType)
            msg = f"dtype must be one of {known}, got {dtype!r}."
            raise ValueError(msg) from None
        self._rows: _Rows | None = _Rows(filename, kind)
        self._path = self._rows.path
        if not self._path.parent.is_dir():
            msg = f"no such folder: {self._path.parent}"
            raise FileNotFoundError(msg)
        # PyPWA's users may rely on Python's closing their files.
        self._at_end = weakref.finalize(self, self._rows.save_if_any)

    def write(self, row: Any) -> None:
        """Add an event, or several at once.

        Parameters
        ----------
        row
            For `DataType.STRUCTURED` a structured row or array, dict, Series (a frame's row) or DataFrame, with the
            columns of the first row in any order; for ``BASIC`` a number or an array ``(events,)``; for
            ``TREE_VECTOR`` a `ParticlePool` or a list of Particles.

        Raises
        ------
        TypeError
            If the row is of another kind.
        ValueError
            If its columns or particles differ from those of the first row, or the writer is closed.
        """
        if self._rows is None:
            msg = f"the writer of {self._path} is closed: get a new one (it replaces the file)."
            raise ValueError(msg)
        self._rows.add(row)

    def close(self) -> None:
        """Write the file; closing twice is fine.

        Raises
        ------
        ValueError
            If there were no rows, or the format can't hold some value.
        """
        if self._rows is not None:
            # Where saving fails now, the caller knows, and may call again.
            self._at_end.detach()
            self._rows.save()
            self._rows = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._at_end.detach()
            self._rows = None


def get_writer(filename: FileName, dtype: DataType | int) -> Writer:
    """Open a file to write it event by event.

    Parameters
    ----------
    filename
        The file; its suffix decides the format, as in `write`.
    dtype
        What the events are: `DataType.BASIC` (0), ``STRUCTURED`` (1) or ``TREE_VECTOR`` (2).

    Returns
    -------
    Writer
        With ``write(row)`` and ``close()``; a context manager, which writes no file where its block ends in an error.

    Raises
    ------
    FileFormatError
        If no format of this suffix holds such events.
    FileNotFoundError
        If there is no such folder.
    ValueError
        If ``dtype`` is none of these.
    """
    return Writer(filename, dtype)
