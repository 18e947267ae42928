"""Events cut into blocks of their own type: what each copy of an amplitude works on."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def count_events(data: Any, what: str = "data") -> int:
    """Return the number of events of any kind of data that an amplitude may be given.

    Raises
    ------
    TypeError
        If it has no events to count.
    ValueError
        If it has none.
    """
    if hasattr(data, "event_count"):
        n = int(data.event_count)
    elif isinstance(data, Mapping):
        lengths = {name: len(values) for name, values in data.items()}
        n = next(iter(lengths.values()), 0)
        if len(set(lengths.values())) > 1:
            msg = f"columns of {what} must have equal lengths, got {lengths}."
            raise ValueError(msg)
    elif hasattr(data, "n_events"):
        n = int(data.n_events)
    else:
        try:
            n = len(data)
        except TypeError:
            msg = f"{what} must be a table, an array or a ParticlePool, got {type(data).__name__}."
            raise TypeError(msg) from None
    if n == 0:
        msg = f"{what} has no events."
        raise ValueError(msg)
    return n


def block_sizes(n_events: int, n_blocks: int) -> tuple[int, ...]:
    """Return sizes that differ by at most one, larger ones first, as `numpy.array_split` makes them."""
    size, extra = divmod(n_events, n_blocks)
    return tuple(size + (i < extra) for i in range(n_blocks))


def split(data: Any, sizes: tuple[int, ...]) -> list[Any]:
    """Cut data into consecutive blocks of the type that came in.

    Parameters
    ----------
    data
        DataFrame or Series (blocks keep their rows of the index), array (structured or not), dict of columns,
        ParticlePool, torch tensor, or what else has slices.
    sizes
        Events of each block.
    """
    if len(sizes) == 1:
        return [data]
    if hasattr(data, "event_count"):
        return list(data.split(len(sizes)))
    cuts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    slices = [slice(start, stop) for start, stop in zip(cuts[:-1], cuts[1:], strict=True)]
    if hasattr(data, "iloc"):
        return [data.iloc[rows] for rows in slices]
    if isinstance(data, Mapping):
        return [{name: values[rows] for name, values in data.items()} for rows in slices]
    if hasattr(data, "select"):
        return [data.select(rows) for rows in slices]
    if not hasattr(data, "__getitem__"):
        data = np.asarray(data)
    return [data[rows] for rows in slices]
