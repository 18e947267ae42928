"""Samples of every kind that `setup` may take: columns for jaxpwa, and fewer events of the same kind."""

from typing import Any

import numpy as np
import pandas as pd

from jaxpwa import Dataset
from jaxpwa_compat.vectors import ParticlePool


def as_dataset(sample: Any) -> Dataset:
    """Return the events as jaxpwa takes them, in double precision.

    Parameters
    ----------
    sample
        DataFrame, structured array, dict of arrays, `jaxpwa.Dataset` or `ParticlePool`; the columns of a pool are
        those of `jaxpwa.ParticleTable.to_columns`: ``E_1, px_1, py_1, pz_1, E_2, ...``.
    """
    if isinstance(sample, ParticlePool):
        return Dataset(sample.to_table().to_columns())
    return Dataset(dict(Dataset(sample).columns))


def some_rows(sample: Any, rows: np.ndarray) -> Any:
    """Take rows of a sample, as a copy of the same kind."""
    if isinstance(sample, pd.DataFrame):
        return sample.iloc[rows].copy()
    if isinstance(sample, Dataset):
        return sample.select(rows)
    if isinstance(sample, dict):
        return {name: np.asarray(values)[rows] for name, values in sample.items()}
    return sample[rows] if isinstance(sample, ParticlePool) else sample[rows].copy()
