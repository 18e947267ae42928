"""From what users have (numbers, arrays, tables) to the components of a vector, and rows of events."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def is_traced(value: Any) -> bool:
    """Whether a value stands for an array of a JAX trace: it has no numbers, and knows numpy's ufuncs only."""
    return hasattr(value, "__jaxpwa_traced__")


def n_rows(value: Any) -> int | None:
    """Length of a component, None for a single number."""
    return value.shape[0] if value.shape else None


def copied(value: Any) -> Any:
    """Copy a component; what is traced cannot be changed and needs none."""
    return value if is_traced(value) else value.copy()


def as_component(name: str, value: Any) -> Any:
    """Copy real numbers into a float64 array ``(events,)`` or one float64 number; what is traced passes.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If there is more than one axis.
    """
    if is_traced(value):
        return value
    array = value if isinstance(value, pd.Series) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        msg = f"{name} must be real numbers, one or one per event, got {type(value).__name__} of dtype {array.dtype}."
        raise TypeError(msg)
    if array.ndim > 1:
        msg = f"{name} must be one number or have shape (events,), got shape {array.shape}. Pass one column each."
        raise ValueError(msg)
    if isinstance(array, pd.Series):
        return array.to_numpy(np.float64, copy=True, na_value=np.nan)
    # [()] turns an array without axes into a number, and is the array itself otherwise.
    return np.array(array, np.float64)[()]


def as_operand(value: Any) -> Any:
    """Return the number, or one number per event, to calculate with; NotImplemented if it is none."""
    if is_traced(value) or isinstance(value, (int, float)) or hasattr(value, "__array__"):
        return as_component("what a vector is combined with", value)
    return NotImplemented


def as_count(name: str, value: Any, least: int) -> int:
    """Check a whole number.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If it is below ``least``.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        msg = f"{name} must be a whole number, got {value!r} ({type(value).__name__})."
        raise TypeError(msg)
    if value < least:
        msg = f"{name} must be at least {least}, got {value}."
        raise ValueError(msg)
    return int(value)


def as_rows(item: Any, n_events: int) -> Any:
    """Turn an event number, a slice, a mask or event numbers into what indexes an array of ``n_events``.

    Masks are paired by position, whatever the index of a Series.

    Raises
    ------
    TypeError
        If it is nothing of these.
    ValueError
        If it has more than one axis, or a mask has another length.
    """
    if is_traced(item) or isinstance(item, slice):
        return item
    single = item is None or isinstance(item, (str, tuple, bool, np.bool_))
    # pandas' own boolean type comes out of asarray as objects.
    rows = item.to_numpy(bool) if isinstance(item, pd.Series) and item.dtype.kind == "b" else np.asarray(item)
    if isinstance(item, list) and not item:
        rows = rows.astype(np.intp)
    if single or rows.dtype.kind not in "iub":
        msg = (
            "events must be picked by a whole number, a slice, a boolean mask or whole numbers, "
            f"got {item!r} ({type(item).__name__})."
        )
        raise TypeError(msg)
    if rows.ndim > 1:
        msg = f"a mask or event numbers must have one axis, got shape {rows.shape}."
        raise ValueError(msg)
    if rows.dtype.kind == "b" and len(rows) != n_events:
        msg = f"a mask must have one entry per event: got {len(rows)} for {n_events} events."
        raise ValueError(msg)
    return rows if rows.ndim else int(rows)


def take(value: Any, rows: Any) -> Any:
    """Copy rows of a component; one number counts as one row."""
    if is_traced(value):
        return value[rows] if value.shape else value
    return np.atleast_1d(value)[rows].copy()


def _columns(given: Any) -> Mapping[str, Any] | None:
    """Return the columns of a table or of one row of it, None for anything else."""
    if isinstance(given, Mapping):
        return given
    # A jaxpwa.Dataset, by what it has: worker processes do not load jaxpwa.
    if not isinstance(given, (np.ndarray, Mapping, pd.DataFrame)) and hasattr(given, "columns"):
        return given.columns
    if isinstance(given, pd.DataFrame):
        return {str(name): given[name] for name in given.columns}
    if isinstance(given, pd.Series) and given.index.dtype.kind not in "iufb":
        return {str(name): value for name, value in given.items()}
    if isinstance(given, (np.ndarray, np.void)) and given.dtype.names is not None:
        return {name: given[name] for name in given.dtype.names}
    return None


def _from_columns(kind: str, names: Sequence[str], columns: Mapping[str, Any]) -> list[Any]:
    found, missing = [], []
    for name in names:
        spellings = [name, name.upper(), *(() if name == "e" else (f"p{name}", f"P{name}", f"P{name.upper()}"))]
        there = [s for s in spellings if s in columns]
        if there:
            found.append(columns[there[0]])
        else:
            missing.append(name)
    if missing:
        msg = (
            f"{kind} needs the columns {', '.join(names)} (also spelled E, px, py, pz), missing: {', '.join(missing)}. "
            f"The table has: {', '.join(map(str, columns)) or '(none)'}."
        )
        raise ValueError(msg)
    return found


def read_components(kind: str, names: Sequence[str], given: Sequence[Any]) -> dict[str, Any]:
    """Build the components of a vector from its constructor's arguments.

    Parameters
    ----------
    kind
        Name of the class, for messages.
    names
        Names of the components.
    given
        One value per component; or, all others None, first a number of events, a table or a row of one.

    Returns
    -------
    Component by name, copies: all arrays ``(events,)`` or all single numbers. Next to traced components, numbers
    stay numbers.

    Raises
    ------
    TypeError, ValueError
        If components are missing, not real numbers or of different lengths.
    """
    first, others = given[0], given[1:]
    if all(other is None for other in others):
        if isinstance(first, (int, np.integer)) and not isinstance(first, bool):
            n_events = as_count("number of events", first, 0)
            return {name: np.zeros(n_events) if n_events else np.float64(0) for name in names}
        columns = _columns(first)
        given = given if columns is None else _from_columns(kind, names, columns)
    missing = [name for name, value in zip(names, given, strict=True) if value is None]
    if missing:
        msg = (
            f"{kind} takes {', '.join(names)}, missing: {', '.join(missing)}. Alone may stand: a number of events, "
            f"a DataFrame, a dict or a structured array. For an array of one row per event: {kind}(*array.T)."
        )
        raise ValueError(msg)
    values = {name: as_component(name, value) for name, value in zip(names, given, strict=True)}
    lengths = {name: length for name, value in values.items() if (length := n_rows(value)) is not None}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        msg = f"the components of a {kind} must have equal lengths, got {shown} events."
        raise ValueError(msg)
    if lengths and not any(is_traced(value) for value in values.values()):
        length = next(iter(lengths.values()))
        values = {name: np.full(length, value) if not value.shape else value for name, value in values.items()}
    return values
