"""Numpy's own files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa.data.dataset import table_columns
from jaxpwa.data.io.format import Format, check_columns


def _read_npy(path: Path, columns: list[str] | None) -> pd.DataFrame | np.ndarray:
    """Read a structured array as a table, a plain one as it is; pickled objects are refused."""
    try:
        array = np.load(path, allow_pickle=False)
    except ValueError as error:
        if "pickle" in str(error).lower():
            msg = f"{path} holds pickled Python objects, which can run code when loaded: refused."
        else:
            msg = f"{path} is damaged: {error}."
        raise ValueError(msg) from None
    names = array.dtype.names
    if names is None:
        if columns is not None:
            msg = f"{path} holds a plain array, which has no columns to choose from."
            raise ValueError(msg)
        return array
    check_columns(path, names, columns)
    return pd.DataFrame({name: array[name] for name in (columns or names)})


def _write_npy(path: Path, table: Any) -> None:
    """Write a plain array as it is, a table as a structured array."""
    if isinstance(table, np.ndarray):
        array = table
    else:
        columns = {name: np.asarray(values) for name, values in table_columns(table).items()}
        length = len(next(iter(columns.values())))
        array = np.empty(length, [(name, v.dtype, v.shape[1:]) for name, v in columns.items()])
        for name, values in columns.items():
            array[name] = values
    if array.dtype.hasobject:
        msg = f"npy files hold numbers, not {array.dtype}: convert or drop text columns."
        raise TypeError(msg)
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


FORMATS = (Format("npy", (".npy",), b"\x93NUMPY", _read_npy, _write_npy),)
