"""Binning as PyPWA cuts: every event in one bin, rows in their original order, the type that came in.

Tables may be DataFrames (rows keep their index), structured arrays, dicts of arrays, Datasets or ParticlePools. The
numbers to bin by are a column's name, or an array or Series of one number per event, paired by position.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

import jaxpwa
from jaxpwa_compat.vectors import ParticlePool


def _n_events(data: Any) -> int:
    """Count the events of a table."""
    if isinstance(data, ParticlePool):
        return data.event_count
    if isinstance(data, Mapping):
        return max((len(values) for values in data.values()), default=0)
    if isinstance(data, (pd.DataFrame, pd.Series, np.ndarray, jaxpwa.Dataset, jaxpwa.ParticleTable)):
        return len(data)
    msg = (
        "events to bin must be a DataFrame, a structured array, a dict of arrays, a Dataset or a ParticlePool, "
        f"got {type(data).__name__}."
    )
    raise TypeError(msg)


def _take(data: Any, rows: np.ndarray) -> Any:
    """Take rows, in the order given, keeping the type."""
    if isinstance(data, (pd.DataFrame, pd.Series)):
        return data.iloc[rows]
    if isinstance(data, (jaxpwa.Dataset, jaxpwa.ParticleTable)):
        return data.select(rows)
    if isinstance(data, Mapping):
        return {name: np.asarray(values)[rows] for name, values in data.items()}
    return data[rows]


def _values(data: Any, bin_series: Any) -> np.ndarray:
    """Return the numbers to bin by, one per event."""
    n_events = _n_events(data)
    if isinstance(bin_series, str):
        if isinstance(data, (ParticlePool, jaxpwa.ParticleTable)):
            msg = (
                f"bin_series must be an array of one number per event for four-vectors, got the name {bin_series!r}: "
                "pass, for instance, pool.get_event_mass()."
            )
            raise TypeError(msg)
        values = jaxpwa.Dataset(data).numbers(bin_series)
    else:
        values = np.asarray(bin_series, np.float64)
    if values.shape != (n_events,):
        msg = f"bin_series must have one number per event: got shape {values.shape} for {n_events} events."
        raise ValueError(msg)
    bad = np.isnan(values)
    if bad.any():
        msg = f"bin_series is NaN for {bad.sum()} of {n_events} events (first: event {np.argmax(bad)}): drop these."
        raise ValueError(msg)
    return values


def _rows_by_edges(values: np.ndarray, rows: np.ndarray, edges: Any) -> list[np.ndarray]:
    """Split rows at edges: half-open bins, the last one closed."""
    return [part["row"] for part in jaxpwa.bin_by_edges({"row": rows}, values[rows], edges)]


def bin_by_range(
    dataframe: Any,
    bin_series: Any,
    number_of_bins: int,
    lower_cut: float | None = None,
    upper_cut: float | None = None,
    sample_size: int | None = None,
) -> list:
    """Split a table into bins of equal width.

    Warning: the edges come from the smallest and largest value that survive the cuts, not from the cuts, as in
    PyPWA. Data and Monte Carlo cut alike therefore get *different* bins. Where bins of several samples must match,
    use `jaxpwa.bin_by_edges` (or `bin_by_list`) with the same edges for all.

    Parameters
    ----------
    dataframe
        The events.
    bin_series
        Name of a column, or one number per event.
    number_of_bins
        At least 1.
    lower_cut, upper_cut
        Keep only events with values between these, both inclusive.
    sample_size
        Draw this many different events from each bin, by numpy's global generator (``numpy.random.seed``); they stay
        in their original order.

    Returns
    -------
    list
        One table per bin, empty ones included. Bins are half-open, the last one closed; where all values are equal,
        all events are in the last bin.

    Raises
    ------
    ValueError
        If a length, a number or a column is wrong, no event survives the cuts, or a bin is too small to be sampled.
    TypeError
        If ``number_of_bins`` or ``sample_size`` is no whole number.
    """
    values = _values(dataframe, bin_series)
    _check_count("number_of_bins", number_of_bins, 1)
    keep = np.ones(len(values), bool)
    if lower_cut is not None:
        keep &= values >= lower_cut
    if upper_cut is not None:
        keep &= values <= upper_cut
    rows = np.flatnonzero(keep)
    if not len(rows):
        msg = (
            f"no event to bin: none of {len(values)} is between lower_cut={lower_cut} and upper_cut={upper_cut}. "
            "Widen the cuts."
        )
        raise ValueError(msg)
    low, high = values[rows].min(), values[rows].max()
    if not np.isfinite([low, high]).all():
        msg = f"bin_series must be finite between the cuts, got values from {low} to {high}: set lower_cut, upper_cut."
        raise ValueError(msg)
    if low == high:
        bins = [*[rows[:0]] * (number_of_bins - 1), rows]
    else:
        bins = _rows_by_edges(values, rows, np.linspace(low, high, number_of_bins + 1))
    if sample_size is not None:
        bins = _sampled(bins, sample_size)
    return [_take(dataframe, part) for part in bins]


def _check_count(what: str, value: Any, least: int) -> None:
    """Refuse anything but a whole number from ``least`` on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        msg = f"{what} must be a whole number, got {value!r}."
        raise TypeError(msg)
    if value < least:
        msg = f"{what} must be at least {least}, got {value}."
        raise ValueError(msg)


def _sampled(bins: list[np.ndarray], sample_size: int) -> list[np.ndarray]:
    """Draw different rows of each bin, in rising order."""
    _check_count("sample_size", sample_size, 0)
    for number, rows in enumerate(bins):
        if sample_size > len(rows):
            msg = (
                f"sample_size must not exceed the events of any bin: bin {number} has {len(rows)}, got {sample_size}. "
                "Use fewer bins or a smaller sample_size."
            )
            raise ValueError(msg)
    # PyPWA's users seed numpy's global generator.
    return [np.sort(np.random.choice(rows, sample_size, replace=False)) for rows in bins]  # noqa: NPY002


def bin_by_list(data: Any, bin_series: Any, bin_list: Any) -> list:
    """Split a table at given edges.

    Parameters
    ----------
    data
        The events.
    bin_series
        Name of a column, or one number per event.
    bin_list
        At least two strictly rising edges. Events outside are dropped.

    Returns
    -------
    list
        One table per pair of neighbours, empty ones included. Bins are half-open, the last one closed, so that an
        event on an inner edge is in the upper bin alone (PyPWA has it in both).

    Raises
    ------
    ValueError
        If a length, an edge or a column is wrong.
    """
    values = _values(data, bin_series)
    return [_take(data, part) for part in _rows_by_edges(values, np.arange(len(values)), bin_list)]


def bin_with_fixed_widths(
    dataframe: Any,
    bin_series: Any,
    fixed_size: int,
    lower_cut: float | None = None,
    upper_cut: float | None = None,
) -> list:
    """Split a table into bins of equal numbers of events, in the order of the numbers to bin by.

    Parameters
    ----------
    dataframe
        The events.
    bin_series
        Name of a column, or one number per event.
    fixed_size
        Events per bin, at least 1. What does not fill a bin goes half (rounded down) into an extra first bin, the
        rest into an extra last one; an extra bin without events is left out.
    lower_cut, upper_cut
        Keep only events with values between these, both inclusive.

    Returns
    -------
    list
        One table per bin.

    Raises
    ------
    ValueError
        If a length, a number or a column is wrong.
    TypeError
        If ``fixed_size`` is no whole number.
    """
    values = _values(dataframe, bin_series)
    table = {"row": np.arange(len(values))}
    bins = jaxpwa.bin_with_fixed_widths(table, values, fixed_size, lower_cut, upper_cut)
    return [_take(dataframe, part["row"]) for part in bins]
