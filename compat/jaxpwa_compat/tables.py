"""Tables as PyPWA's amplitudes like them: structured arrays and contiguous columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def pandas_to_numpy(df: Any) -> np.ndarray:
    """Turn a pandas object into numpy.

    Parameters
    ----------
    df
        A DataFrame (gives an aligned structured array), a Series without a name or named by a string (a plain
        array), or a row of a frame, a Series named by a number (a structured array of length 1).

    Returns
    -------
    numpy.ndarray
        Text columns become columns of Python objects.

    Raises
    ------
    TypeError
        If it is no pandas object.
    """
    if isinstance(df, pd.Series):
        if df.name is None or isinstance(df.name, str):
            return df.to_numpy()
        df = pd.DataFrame([df.to_dict()])
    if not isinstance(df, pd.DataFrame):
        msg = f"pandas_to_numpy takes a DataFrame or a Series, got {type(df).__name__}."
        raise TypeError(msg)
    columns = {}
    for name in df.columns:
        values = df[name].to_numpy()
        columns[str(name)] = values if values.dtype.kind in "fiubcM" else values.astype(object)
    array = np.empty(len(df), np.dtype([(n, v.dtype) for n, v in columns.items()], align=True))
    for name, values in columns.items():
        array[name] = values
    return array


def to_contiguous(data: Any, names: Any) -> np.ndarray | tuple[np.ndarray, ...]:
    """Take columns out of a table as contiguous arrays.

    Parameters
    ----------
    data
        DataFrame, structured array, dict of arrays or `jaxpwa.Dataset`.
    names
        One name (gives one array) or a list of names (gives a tuple, also for one name).

    Returns
    -------
    numpy.ndarray or tuple of numpy.ndarray
        Shape ``(events,)`` each, contiguous and writable: copies where the table's own are not.

    Raises
    ------
    ValueError
        If a column is missing.
    TypeError
        If ``data`` is a plain array, which has no columns.
    """
    columns = _columns(data)
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in columns:
            msg = f"unknown column {name!r}; the data have: {', '.join(map(str, columns))}."
            raise ValueError(msg)
    arrays = tuple(_own(data[name]) for name in wanted)
    return arrays[0] if isinstance(names, str) else arrays


def _columns(data: Any) -> list[str]:
    """Return the names of a table's columns."""
    if isinstance(data, np.ndarray):
        if data.dtype.names:
            return list(data.dtype.names)
        msg = f"to_contiguous takes a table, got an array {data.dtype}{list(data.shape)}: it has no column names."
        raise TypeError(msg)
    names = data if isinstance(data, Mapping) else getattr(data, "columns", None)
    if names is None:
        msg = f"to_contiguous takes a DataFrame, structured array, dict or Dataset, got {type(data).__name__}."
        raise TypeError(msg)
    return list(names)


def _own(values: Any) -> np.ndarray:
    """Return a column as amplitudes may use it: torch warns of arrays that can't be written to, as pandas' are."""
    return np.require(values, requirements=["C", "W"])
