"""Stand-ins for the table that `setup` gets and for the parameters that `calculate` gets."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import pandas as pd

import jax
import jax.numpy as jnp

from jaxpwa import Dataset
from jaxpwa_compat.porting.trace import current, refuse
from jaxpwa_compat.porting.traced import TracedArray, wrap
from jaxpwa_compat.porting.values import Traced
from jaxpwa_compat.vectors import Particle, ParticlePool

_BY_NAME = "Read columns by name and calculate with them for all events at once."


def _passing(read: Callable[[], Any]) -> Any:
    """Read from what the caller gave, and remember an error as the caller's own."""
    try:
        return read()
    except BaseException as error:
        current().passing = error
        raise


class Form:
    """What a table looks like to the user's code.

    Parameters
    ----------
    sample
        DataFrame, structured array, dict of arrays, `jaxpwa.Dataset` or `ParticlePool`.
    """

    def __init__(self, sample: Any):
        self.particles: list[tuple[int, int]] = []
        if isinstance(sample, ParticlePool):
            self.particles = [(particle.id, particle.charge) for particle in sample]
            self.kind = "pool"
            self.dtypes = dict.fromkeys(sample.to_table().to_columns(), np.dtype(float))
        elif isinstance(sample, pd.DataFrame):
            self.kind, self.dtypes = "frame", {str(name): sample[name].dtype for name in sample.columns}
        elif isinstance(sample, np.ndarray):
            self.kind = "records" if isinstance(sample, np.recarray) else "structured"
            self.dtypes = {name: sample.dtype[name] for name in sample.dtype.names or ()}
        else:
            self.kind = "dict" if isinstance(sample, dict) else "dataset"
            self.dtypes = {name: np.asarray(sample[name]).dtype for name in sample}

    def column(self, name: str, values: Any) -> TracedArray:
        """Give a column the type that it has in the sample, as far as calculations depend on it."""
        kind = getattr(self.dtypes[name], "kind", "O")
        array = values if isinstance(values, jax.Array) else jnp.asarray(np.asarray(values))
        if kind == "b":
            return TracedArray(array != 0)
        return TracedArray(array, is_whole=kind in "iu")

    def table(self, columns: Any, length_from: str | None) -> Any:
        """Return what `setup` is given.

        Parameters
        ----------
        columns
            The caller's mapping.
        length_from
            See `TracedTable`.
        """
        table = TracedTable(columns, self, length_from=length_from)
        if self.kind != "pool":
            return table
        values = [table[name] for name in self.dtypes]
        return ParticlePool(Particle(*known, *values[4 * k : 4 * k + 4]) for k, known in enumerate(self.particles))


class TracedTable(Traced):
    """The table of events, of the kind that the sample was.

    Parameters
    ----------
    columns
        The caller's mapping; columns are read from it when they are asked for.
    form
        What the sample looked like.
    names
        The columns on offer.
    length_from
        A column to take the number of events from, where none has been read.
    """

    __slots__ = ("_columns", "_form", "_length_from", "_names", "_own")

    def __init__(
        self,
        columns: Any,
        form: Form,
        names: Any = None,
        length_from: str | None = None,
        own: dict[str, Any] | None = None,
    ):
        self._columns = columns
        self._form = form
        self._names = list(form.dtypes if names is None else names)
        self._length_from = length_from
        self._own = dict(own or {})

    @property
    def __class__(self) -> type:  # type: ignore[override]
        """What `isinstance` takes it for: classes treat a DataFrame and an array differently."""
        kinds = {"frame": pd.DataFrame, "structured": np.ndarray, "records": np.recarray, "dict": dict}
        return kinds.get(self._form.kind, TracedTable)

    @property
    def value(self) -> Any:  # type: ignore[override]
        """The columns of a DataFrame side by side, ``(events, columns)``: what numpy makes of it."""
        if self._form.kind != "frame":
            refuse("the table of events is turned into an array as a whole", _BY_NAME)
        return jnp.stack([self[name].value for name in self._names], 1)

    @classmethod
    def of(cls, value: Any) -> Traced:
        """Return an array: calculations with tables make no tables."""
        return TracedArray(value)

    def _like(self, names: Any) -> "TracedTable":
        return TracedTable(self._columns, self._form, names, self._length_from, self._own)

    def _read(self, name: str) -> Any:
        if name not in self._own:
            current().columns[name] = None
            self._own[name] = self._form.column(name, _passing(lambda: self._columns[name]))
        return self._own[name]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._names:
                raise (ValueError if self._form.kind in ("structured", "records") else KeyError)(key)
            return self._read(key)
        if isinstance(key, (list, pd.Index)) and all(isinstance(name, str) for name in key):
            return self._like([name for name in key if name in self._names or self[name] is None])
        refuse("events of the table are selected", f"Every event must be treated alone. {_BY_NAME}")

    def __setitem__(self, name: Any, values: Any) -> None:
        if not isinstance(name, str):
            refuse("the table is changed in place", _BY_NAME)
        array = wrap(values).value
        self._own[name] = TracedArray(jnp.broadcast_to(array, (self._n_events(), *array.shape[1:])))
        if name not in self._names:
            self._names.append(name)

    def _n_events(self) -> int:
        read = next((v for v in self._own.values() if v.value.ndim), None)
        return len(read if read is not None else self._read(self._length_from or self._numeric()[0]))

    def _numeric(self) -> list[str]:
        return [name for name in self._names if getattr(self._form.dtypes.get(name), "kind", "f") in "fiubc"]

    def __len__(self) -> int:
        return len(self._names) if self._form.kind == "dict" else self._n_events()

    def __iter__(self) -> Iterator[str]:
        if self._form.kind in ("structured", "records"):
            refuse("a loop runs over the events", _BY_NAME)
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @property
    def columns(self) -> Any:
        """Names of the columns."""
        return pd.Index(self._names) if self._form.kind == "frame" else self._names

    @property
    def dtype(self) -> Any:
        """Type of a structured array, with the names of the columns."""
        return np.dtype([(name, self._form.dtypes.get(name, np.dtype(float))) for name in self._names])

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of events, and for a DataFrame of columns."""
        return (self._n_events(), len(self._names)) if self._form.kind == "frame" else (self._n_events(),)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 2 if self._form.kind == "frame" else 1

    n_events = property(_n_events)

    def keys(self) -> Any:
        """Names of the columns."""
        return self._names

    def items(self) -> Any:
        """Names and columns."""
        return [(name, self[name]) for name in self._names]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column, or the default where there is none."""
        return self[name] if name in self._names else default

    def copy(self, *_: Any, **__: Any) -> "TracedTable":
        """Return a table of its own."""
        return self._like(self._names)

    def to_numpy(self, *_: Any, **__: Any) -> Any:
        """Return the columns side by side, ``(events, columns)``."""
        return TracedArray(self.value)

    def to_records(self, *_: Any, **__: Any) -> "TracedTable":
        """Return the same, its columns readable as attributes."""
        return self

    def astype(self, *_: Any, **__: Any) -> "TracedTable":
        """Return the same: columns are floating-point numbers."""
        return self

    def to_frame(self) -> "TracedTable":
        """Return the same."""
        return self

    def __getattr__(self, name: str) -> Any:
        kind = self._form.kind
        if name == "values":
            return self.to_numpy() if kind == "frame" else lambda: [self[n] for n in self._names]
        if kind in ("frame", "records") and name in self._names:
            return self[name]
        if name.startswith("__") or not hasattr(Dataset if kind == "dataset" else self.__class__, name):
            msg = f"tables of this kind have no attribute {name!r}"
            raise AttributeError(msg)
        refuse(f".{name} of the table of events has no counterpart here", _BY_NAME)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        refuse("the table of events is turned into an array as a whole", _BY_NAME)

    def __repr__(self) -> str:
        return f"TracedTable({', '.join(self._names)})"


class TracedParameters(Mapping):
    """The parameters: read by name from what the caller gave, who sees which names are read.

    Parameters
    ----------
    given
        The caller's mapping.
    """

    def __init__(self, given: Any):
        self._given = given

    def __getitem__(self, name: str) -> Any:
        return wrap(_passing(lambda: self._given[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(_passing(lambda: list(self._given)))

    def __len__(self) -> int:
        return _passing(lambda: len(self._given))

    def __contains__(self, name: object) -> bool:
        return _passing(lambda: name in self._given)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a parameter, or the default where there is none."""
        value = _passing(lambda: self._given.get(name, default))
        return value if value is default else wrap(value)

    def copy(self) -> dict[str, Any]:
        """Return a dict."""
        return dict(self)

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        refuse("the parameters are changed in place", "Copy them first: parameters = dict(parameters).")


def contiguous(data: TracedTable, names: Any) -> Any:
    """Do what `jaxpwa_compat.to_contiguous` does."""
    return data[names] if isinstance(names, str) else tuple(data[name] for name in names)


def structured(df: Any) -> Any:
    """Do what `jaxpwa_compat.pandas_to_numpy` does."""
    if not isinstance(df, TracedTable):
        return df
    table = df.copy()
    form = Form({})
    form.kind, form.dtypes = "structured", table._form.dtypes
    table._form = form
    return table
