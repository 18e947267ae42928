"""Checks of columns, weights and choices of events."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxpwa._checks import check_length, first_bad, known


def check_columns(columns: dict[str, np.ndarray]) -> None:
    """Refuse an empty table, names that are no strings, scalars and unequal lengths."""
    if not columns:
        msg = "a table of events must have at least one column, got none."
        raise ValueError(msg)
    length, first = None, ""
    for name, values in columns.items():
        if not isinstance(name, str):
            msg = f"column names must be strings, got {name!r} ({type(name).__name__})."
            raise TypeError(msg)
        if values.ndim == 0:
            msg = (
                f"column {name!r} must have one value per event, got the single value {values!r}. "
                "Use np.full(n_events, value), or put constants into the intensity."
            )
            raise ValueError(msg)
        if length is None:
            length, first = len(values), name
        elif len(values) != length:
            msg = f"columns must have equal lengths: {first!r} has {length} events, {name!r} has {len(values)}."
            raise ValueError(msg)


def as_weights(weights: Any, columns: dict[str, np.ndarray], n_events: int) -> np.ndarray | None:
    """Turn what the user gave into float64 weights, or None where every event counts one."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if weights not in columns:
            msg = f"weights names column {weights!r}, which the table does not have; columns: {known(columns)}."
            raise ValueError(msg)
        weights = columns[weights]
    array = np.asarray(weights)
    if array.dtype.kind not in "fiub":
        msg = f"weights must be real numbers, got dtype {array.dtype}."
        raise TypeError(msg)
    if array.ndim != 1:
        msg = f"weights must have shape (events,), got shape {array.shape}."
        raise ValueError(msg)
    check_length("weights", len(array), "event", n_events)
    array = array.astype(np.float64, copy=False)
    bad = ~np.isfinite(array)
    if bad.any():
        msg = (
            f"weights must be finite: {int(bad.sum())} of {n_events} are not "
            f"(first: event {first_bad(bad)}, {array[first_bad(bad)]}). Drop these events or give them weight 0."
        )
        raise ValueError(msg)
    return array


def as_rows(rows: Any, n_events: int) -> Any:
    """Turn a mask (paired by position), indices or a slice into what indexes an array of ``n_events`` rows."""
    if isinstance(rows, slice):
        return rows
    rows = np.asarray(rows)
    if rows.dtype == bool:
        check_length("mask", len(rows), "event", n_events)
    elif rows.size == 0:
        rows = rows.astype(np.intp)
    return rows


def as_derived(made: Any, n_events: int) -> dict[str, np.ndarray]:
    """Return the columns that a user's function has made of so many events."""
    if not isinstance(made, Mapping):
        msg = f"derive must return a mapping from names to columns, got {type(made).__name__}."
        raise TypeError(msg)
    derived = {name: np.asarray(values) for name, values in made.items()}
    for name, values in derived.items():
        if not isinstance(name, str):
            msg = f"derive must name its columns by strings, got {name!r}."
            raise TypeError(msg)
        if values.ndim == 0 or len(values) != n_events:
            msg = f"derive must return one entry per event: {name!r} has shape {values.shape} for {n_events} events."
            raise ValueError(msg)
    return derived


def check_each_by_itself(derived: dict[str, np.ndarray], again: dict[str, np.ndarray], rows: slice) -> None:
    """Refuse columns whose entries depend on the other events: those ``again`` made of some of the events alone.

    Rounding may differ between the two, and most where little is left of large numbers: what is refused differs in
    most events and by more than a thousandth of the largest number.
    """
    for name, values in derived.items():
        alone, among = again.get(name), values[rows]
        if values.dtype.kind not in "fiubc" or alone is None or alone.shape != among.shape:
            continue
        both = np.stack([alone, among]).astype(np.complex128).reshape(2, len(among), -1)
        size = np.abs(both[np.isfinite(both)]).max(initial=0.0)
        with np.errstate(invalid="ignore"):
            apart = np.abs(both[0] - both[1]) > 1e-3 * size
        if apart.any(axis=1).mean() > 0.5:
            msg = (
                f"derive must treat each event by itself, for files come in pieces of any length: {name!r} of an event "
                "changes with the events around it. Take means, sums and random numbers beforehand."
            )
            raise ValueError(msg)
