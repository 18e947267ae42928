"""The one container of events: named columns with a weight per event."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import equinox as eqx

from jaxpwa._checks import known
from jaxpwa.data.columns import as_rows, as_weights, check_columns

if TYPE_CHECKING:
    from jaxpwa.data.filedata import FileDataset

_FLOATS = {"float64": np.float64, "float32": np.float32}


def table_columns(table: Any) -> dict[str, np.ndarray]:
    """Split a table into named host arrays, without copying what need not be.

    Parameters
    ----------
    table
        A dict of arrays, a pandas DataFrame (its index is ignored: rows are paired by position),
        a structured numpy array, or a `Dataset`.

    Returns
    -------
    Columns by name, in the table's order, each with the events on axis 0.

    Raises
    ------
    TypeError
        If ``table`` is none of these.
    ValueError
        If names are not unique strings, or a column's length differs from the first one's.
    """
    if isinstance(table, Dataset):
        return dict(table.columns)
    if isinstance(table, pd.DataFrame):
        names = list(table.columns)
        if len(set(names)) != len(names):
            twice = sorted({str(n) for n in names if names.count(n) > 1})
            msg = f"the columns of a table must have different names: {known(twice)} occur more than once."
            raise ValueError(msg)
        columns = {name: table[name].to_numpy() for name in names}
    elif isinstance(table, np.ndarray) and table.dtype.names is not None:
        if table.ndim != 1:
            msg = f"a structured array of events must have one dimension, got shape {table.shape}."
            raise ValueError(msg)
        columns = {name: table[name] for name in table.dtype.names}
    elif isinstance(table, Mapping):
        columns = {name: np.asarray(values) for name, values in table.items()}
    else:
        msg = (
            "events must come as a dict of arrays, a DataFrame, a structured array or a Dataset, "
            f"got {type(table).__name__}. " + _advice(table)
        )
        raise TypeError(msg)
    check_columns(columns)
    return columns


def _advice(table: Any) -> str:
    from jaxpwa.data.filedata import FileDataset

    if isinstance(table, FileDataset):
        return "This needs all of it in memory: pass its .read()."
    if callable(table):
        return "Intensity first, then data."
    return "A plain array has no column names: pass {'x': array}."


class Dataset(eqx.Module):
    """Events as named columns, with one weight per event.

    Parameters
    ----------
    table
        A dict of arrays, a DataFrame (any index: rows are paired by position), a structured array or
        another `Dataset`. Every column has the events on axis 0: ``(events,)``, or ``(events, 4)`` for
        four-vectors ``(E, px, py, pz)``. Units are the user's own; jaxpwa's physics wants GeV and radians.
    weights
        One finite number per event, of either sign, or the name of a column that holds them.
        None: every event counts one. Events of weight 0 take no part in any sum.
    dtype
        ``"float64"`` (default) or ``"float32"``: what real columns become on the devices, whatever their
        type in the table (integers and booleans included, so that ``x**2`` can't overflow). Sums are
        taken in float64 in both cases.

    Attributes
    ----------
    columns
        The columns on the host, in the table's order and with the table's own types.
    is_weighted
        Whether weights were given.

    Raises
    ------
    TypeError, ValueError
        If the table or the weights are not of this form; the message says what was expected and found.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> data = jp.Dataset({"x": [1.0, 2.0, 3.0]}, weights=[1, 1, -0.5])
    >>> len(data), float(data.weights.sum())
    (3, 1.5)
    """

    columns: dict[str, np.ndarray]
    _weights: np.ndarray | None
    dtype: str = eqx.field(static=True)

    def __init__(self, table: Any, weights: Any = None, *, dtype: str | None = None):
        columns = table_columns(table)
        n_events = len(next(iter(columns.values())))
        given = as_weights(weights, columns, n_events)
        if isinstance(table, Dataset):
            given = table._weights if weights is None else given
            dtype = dtype or table.dtype
        dtype = str(np.dtype(dtype or "float64"))
        if dtype not in _FLOATS:
            msg = f"dtype must be 'float64' or 'float32', got {dtype!r}."
            raise ValueError(msg)
        self.columns = columns
        self._weights = given
        self.dtype = dtype

    @classmethod
    def from_files(
        cls,
        paths: Any,
        columns: Any = None,
        *,
        weights: str | None = None,
        derive: Callable[["Dataset"], Mapping[str, Any]] | None = None,
        dtype: str | None = None,
        memory_budget: int | None = None,
        scratch: Any = None,
        **options: Any,
    ) -> "FileDataset":
        """Leave events in files, for data larger than memory.

        Parameters
        ----------
        paths
            A file, a pattern (``"mc/part_*.parquet"``), or a sequence of them: one table, in this order, files of a
            pattern sorted by name. Parquet, ROOT, npy, csv, tsv or kvars, all with the same columns.
        columns
            Columns to take, or a mapping from names in the files to names wanted; None: all.
        weights
            Name of the column with the weights, which must be finite; None: every event counts one.
        derive
            ``derive(dataset)`` returns further columns by name, one entry per event, which may replace those of the
            files. It is called for some ten thousand events at a time, in a thread, and must treat each by itself.
        dtype
            As of `Dataset`.
        memory_budget
            How many bytes of numbers costs may keep in memory: what fits is read once, else each evaluation reads the
            files. None: a quarter of the memory.
        scratch
            A folder on a fast disk, where numbers are kept as read, parsed and derived, for later passes and
            programs: worth it for text, compressed files and a slow ``derive``. They are used as long as the files and
            these arguments are the same, and are never deleted.
        options
            As of `jaxpwa.read`.

        Returns
        -------
        `FileDataset`

        Raises
        ------
        FileNotFoundError, ValueError, TypeError
            If a file is missing, of a format that can't be read in pieces, or differs from the first one; if a column
            is missing, or ``derive`` does not return columns.
        """
        from jaxpwa.data.filedata import FileDataset

        settings = {"dtype": dtype, "memory_budget": memory_budget, "scratch": scratch}
        return FileDataset(paths, columns, weights=weights, derive=derive, **settings, **options)

    def __len__(self) -> int:
        return self.n_events

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the column of this name, with the table's own type."""
        if name not in self.columns:
            msg = f"unknown column {name!r}; the data have: {known(self.columns)}."
            raise ValueError(msg)
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    @property
    def n_events(self) -> int:
        """Number of events, those of weight 0 included."""
        return len(next(iter(self.columns.values())))

    @property
    def is_weighted(self) -> bool:
        """Whether weights were given."""
        return self._weights is not None

    @property
    def weights(self) -> np.ndarray:
        """Weights, shape ``(events,)``, float64; ones where none were given."""
        return np.ones(self.n_events) if self._weights is None else self._weights

    @property
    def sum_of_weights(self) -> float:
        """Sum of the weights; the number of events where none were given."""
        return float(self.n_events) if self._weights is None else float(self._weights.sum())

    def select(self, rows: Any) -> "Dataset":
        """Take some of the events.

        Parameters
        ----------
        rows
            A boolean mask with one entry per event (array, list or Series: paired by position),
            an array of event indices, or a slice.

        Returns
        -------
        A new `Dataset` with these events, in this order, and their weights.

        Raises
        ------
        ValueError
            If a mask has another length than the data.
        """
        rows = as_rows(rows, self.n_events)
        columns = {name: values[rows] for name, values in self.columns.items()}
        weights = None if self._weights is None else self._weights[rows]
        return Dataset(columns, weights, dtype=self.dtype)

    def with_columns(self, **columns: Any) -> "Dataset":
        """Return the same events with columns added or replaced, each ``(events, ...)``."""
        return Dataset({**self.columns, **columns}, self._weights, dtype=self.dtype)

    def with_weights(self, weights: Any) -> "Dataset":
        """Return the same events with other weights (None: every event counts one)."""
        return Dataset(self.columns, weights, dtype=self.dtype)

    def to_frame(self) -> pd.DataFrame:
        """Return the one-dimensional columns as a DataFrame; the weights are left out."""
        return pd.DataFrame({name: v for name, v in self.columns.items() if v.ndim == 1})

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as the numbers that intensities see.

        Returns
        -------
        Shape ``(events, ...)``, of this dataset's ``dtype`` (complex columns: of twice its width). A view
        where the column has that type already.

        Raises
        ------
        ValueError
            If there is no such column.
        TypeError
            If the column holds no numbers.
        """
        values = self[name]
        kind = values.dtype.kind
        if kind == "O":
            try:
                numbers: Any = pd.to_numeric(pd.Series(values.ravel()))
                values = numbers.to_numpy(np.float64, na_value=np.nan)
                values = values.reshape(self.columns[name].shape)
                kind = "f"
            except (TypeError, ValueError):
                kind = "O"
        if kind not in "fiubc":
            msg = (
                f"column {name!r} holds {values.dtype} values (first: {str(values[0]) if len(values) else None!r}), "
                "which an intensity can't use as numbers. Convert it, or leave it out of the intensity."
            )
            raise TypeError(msg)
        real = _FLOATS[self.dtype]
        return values.astype(np.result_type(real, np.complex64) if kind == "c" else real, copy=False)

    def __repr__(self) -> str:
        weighted = f", sum of weights {self.sum_of_weights:.6g}" if self.is_weighted else ""
        return f"Dataset({self.n_events} events{weighted}; columns: {known(self.columns)})"


def as_dataset(table: Any, what: str) -> Dataset:
    """Return ``table`` as a `Dataset`, naming the argument ``what`` where it is not one."""
    if isinstance(table, Dataset):
        return table
    try:
        return Dataset(table)
    except (TypeError, ValueError) as error:
        msg = f"{what}: {error}"
        raise type(error)(msg) from None
