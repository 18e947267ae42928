"""Tables as PyPWA's amplitudes like them: structured arrays and contiguous columns."""

from typing import Any

import numpy as np
import pandas as pd

from jaxpwa import Dataset


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
        Shape ``(events,)`` each.

    Raises
    ------
    ValueError
        If a column is missing.
    TypeError
        If ``data`` is a plain array, which has no columns.
    """
    table = Dataset(data)
    if isinstance(names, str):
        return np.ascontiguousarray(table[names])
    return tuple(np.ascontiguousarray(table[name]) for name in names)
