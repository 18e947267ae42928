"""Cut a table into bins of one of its columns.

=========================  ==============================================================
`bin_by_edges`             edges given, the same for data and Monte Carlo: the safe choice
`bin_by_range`             equal widths between two cuts
`bin_with_fixed_widths`    equal numbers of events
=========================  ==============================================================

Bins are half-open ``[low, high)``, the last one closed, so that no event is lost or counted twice.
Each returns a list of tables of the type that came in, rows in their original order.
"""

from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import check_length, first_bad
from jaxpwa.data.dataset import Dataset, table_columns
from jaxpwa.data.particles import ParticleTable


def _bin_values(table: Any, by: Any) -> np.ndarray:
    """Return the numbers to bin by: a column's, or those given, one per event."""
    columns = table_columns(table)
    n_events = len(next(iter(columns.values())))
    if isinstance(by, str):
        values = Dataset(columns).numbers(by)
    else:
        values = np.asarray(by, dtype=np.float64)
    if values.ndim != 1:
        msg = f"the column to bin by must have shape (events,), got shape {values.shape}."
        raise ValueError(msg)
    check_length("the column to bin by", len(values), "event", n_events)
    bad = np.isnan(values)
    if bad.any():
        msg = f"the column to bin by is NaN for {int(bad.sum())} events (first: event {first_bad(bad)})."
        raise ValueError(msg)
    return values


def _check_count(what: str, value: Any) -> None:
    """Refuse anything but a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        msg = f"{what} must be a whole number, got {value!r}."
        raise TypeError(msg)
    if value < 1:
        msg = f"{what} must be at least 1, got {value}."
        raise ValueError(msg)


def take_rows(table: Any, rows: np.ndarray) -> Any:
    """Take rows of a table, by mask or indices, keeping its type."""
    if isinstance(table, (Dataset, ParticleTable)):
        return table.select(rows)
    if isinstance(table, pd.DataFrame):
        return table.iloc[rows]
    if isinstance(table, np.ndarray):
        return table[rows]
    return {name: np.asarray(values)[rows] for name, values in table.items()}


def bin_by_edges(table: Any, by: Any, edges: Any) -> list:
    """Split a table at given edges.

    Parameters
    ----------
    table
        Dict of arrays, DataFrame, structured array or `Dataset`.
    by
        Name of a column, or an array of one number per event (paired by position).
    edges
        At least two numbers, strictly rising, shape ``(bins + 1,)``. Events outside are dropped.

    Returns
    -------
    One table per bin; empty bins give empty tables.

    Raises
    ------
    ValueError
        If the edges do not rise, or the column is missing, not one number per event, or NaN.
    """
    values = _bin_values(table, by)
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
        msg = f"edges must be at least two strictly rising numbers, got {edges.tolist()}."
        raise ValueError(msg)
    n_bins = len(edges) - 1
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = n_bins - 1
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(n_bins + 1))
    return [take_rows(table, order[starts[i] : starts[i + 1]]) for i in range(n_bins)]


def bin_by_range(
    table: Any,
    by: Any,
    number_of_bins: int,
    lower_cut: float | None = None,
    upper_cut: float | None = None,
    *,
    sample_size: int | None = None,
    seed: int | None = None,
) -> list:
    """Split a table into bins of equal width.

    Parameters
    ----------
    table, by
        As in `bin_by_edges`.
    number_of_bins
        At least 1.
    lower_cut, upper_cut
        The outer edges, both inclusive; None: the smallest and largest value. Edges follow the cuts, not
        the events between them, so that the same cuts give data and Monte Carlo the same bins.
    sample_size
        Draw this many different events from each bin, in their original order.
    seed
        Seed of the draw; needed with ``sample_size``.

    Returns
    -------
    One table per bin.

    Raises
    ------
    ValueError
        If the range has no width, the number of bins is not positive, a bin has fewer events than
        ``sample_size``, or ``sample_size`` comes without a seed.
    """
    values = _bin_values(table, by)
    _check_count("number_of_bins", number_of_bins)
    if len(values) == 0 and (lower_cut is None or upper_cut is None):
        msg = "a table without events has no range: give lower_cut and upper_cut."
        raise ValueError(msg)
    low = float(values.min() if lower_cut is None else lower_cut)
    high = float(values.max() if upper_cut is None else upper_cut)
    if not low < high:
        msg = (
            f"the range to bin must have a width: lower edge {low}, upper edge {high}. "
            "Give lower_cut < upper_cut (all values of the column may be equal)."
        )
        raise ValueError(msg)
    bins = bin_by_edges(table, values, np.linspace(low, high, number_of_bins + 1))
    if sample_size is None:
        return bins
    if seed is None:
        msg = "sample_size needs a seed, so that the same bins can be drawn again: pass seed=1 (any whole number)."
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    sampled = []
    for i, table_i in enumerate(bins):
        n_events = len(next(iter(table_columns(table_i).values())))
        if sample_size > n_events:
            msg = f"bin {i} has {n_events} events, fewer than sample_size={sample_size}."
            raise ValueError(msg)
        sampled.append(take_rows(table_i, np.sort(rng.choice(n_events, sample_size, replace=False))))
    return sampled


def bin_with_fixed_widths(
    table: Any, by: Any, fixed_size: int, lower_cut: float | None = None, upper_cut: float | None = None
) -> list:
    """Split a table into bins of equal numbers of events, in the order of a column.

    Parameters
    ----------
    table, by
        As in `bin_by_edges`.
    fixed_size
        Events per bin, at least 1. What does not fill a bin goes half (rounded down) into an extra first
        bin, the rest into an extra last one; an extra bin without events is left out.
    lower_cut, upper_cut
        Keep only events with values between these, both inclusive.

    Returns
    -------
    One table per bin, rows in their original order.

    Raises
    ------
    ValueError
        If ``fixed_size`` is not positive.
    """
    values = _bin_values(table, by)
    _check_count("fixed_size", fixed_size)
    order = np.argsort(values, kind="stable")
    keep = np.ones(len(values), bool)
    if lower_cut is not None:
        keep &= values >= lower_cut
    if upper_cut is not None:
        keep &= values <= upper_cut
    order = order[keep[order]]
    full, remainder = divmod(len(order), fixed_size)
    sizes = [remainder // 2, *[fixed_size] * full, remainder - remainder // 2]
    cuts = np.cumsum([0, *(n for n in sizes if n)])
    return [take_rows(table, np.sort(order[cuts[i] : cuts[i + 1]])) for i in range(len(cuts) - 1)]
