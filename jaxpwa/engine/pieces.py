"""Events on the devices part by part: rows of a table in memory, or pieces of files that are larger than memory."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from jaxpwa._processes import process_count, process_index
from jaxpwa.data.dataset import Dataset, as_dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.blocks import CPU_BLOCK, PlacedEvents, block_size, place, rows_to_alignment, rung, rung_below
from jaxpwa.engine.devices import Devices, select_devices
from jaxpwa.engine.prepare import default_budget
from jaxpwa.engine.processes import errors_shared, exchange, exchange_found, own_range

Events: TypeAlias = Dataset | FileDataset

# Events per device and part: enough to hide the cost of a call, few enough to bound memory.
MOST_ROWS = 1 << 20
# Events that are not worth more than one device, nor the care to avoid a copy.
_SMALL = 1 << 16
# Alive at a time: pieces in the making, waiting, placed, computed, and that of which the results are looked at.
_PIECES_ALIVE = 5
# Result, random number and bin of an event.
_BYTES_OF_RESULTS = 24
# Pieces of less memory would cost more in calls than they spare.
_LEAST_BUDGET = 1 << 20


def is_streamed(data: Any) -> TypeGuard[FileDataset]:
    """Tell whether events stay in files."""
    return isinstance(data, FileDataset)


def as_events(data: Any, what: str) -> Events:
    """Return events in files as they are, the same in all processes, and others as a `Dataset`."""
    if not isinstance(data, FileDataset):
        return as_dataset(data, what)
    check_same_length(data, what)
    return data


def check_same_length(files: FileDataset, what: str) -> None:
    """Refuse files in which processes of a run see different numbers of events: shares of them would not fit together.

    Raises
    ------
    ValueError
        In all of them, also where one can't count its events.
    """
    if process_count() == 1:
        return
    n_events, failure = 0, None
    try:
        n_events = files.n_events
    except Exception as error:
        failure = error
    seen = exchange_found(np.array([n_events], np.float64), failure)[:, 0].astype(np.int64).tolist()
    if len(set(seen)) > 1:
        msg = f"{what}: processes of this run see files of different length, {seen} events: give all the same files."
        raise ValueError(msg)


def own_devices(devices: Devices) -> Devices:
    """Return this process's of the devices asked for; those of others alone, to be refused, as they are."""
    if not np.iterable(devices):
        return devices
    here, every = process_index(), tuple(devices)
    return tuple(d for d in every if getattr(d, "process_index", here) == here) or every


def rows_of_all(values: np.ndarray) -> np.ndarray:
    """Return the rows of all processes, one process after the other."""
    counts = exchange(len(values))
    padded = np.zeros((counts.max(), *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return np.concatenate([rows[:n] for rows, n in zip(exchange(padded), counts, strict=True)])


def some_of(data: Events) -> Dataset:
    """Return events with all columns, to ask for names and types."""
    return data.head if isinstance(data, FileDataset) else data


def names_of_numbers(data: Dataset) -> tuple[str, ...]:
    """Return the columns that hold numbers."""
    found = []
    for name in data:
        try:
            data.numbers(name)
        except TypeError:
            continue
        found.append(name)
    return tuple(found)


def share_of(data: Events) -> tuple[int, int]:
    """Return from where to where this process works: all of a table, its slice of files."""
    return own_range(data.n_events) if is_streamed(data) else (0, data.n_events)


def in_step(data: Events) -> AbstractContextManager[Any]:
    """Let what goes wrong in one process's slice of files go wrong in all; tables are the same in all of them."""
    return errors_shared() if is_streamed(data) and process_count() > 1 else nullcontext()


@dataclass(frozen=True)
class Part:
    """Some consecutive events on the devices.

    Attributes
    ----------
    start
        Index of the first event in the whole sample.
    data, rows
        Events on the host, and which of them these are.
    events
        Columns, and weights where asked for, on the devices.
    """

    start: int
    data: Dataset
    rows: slice
    events: PlacedEvents


def parts(
    data: Events,
    columns: tuple[str, ...],
    *,
    weighted: bool,
    devices: Devices,
    most: int = MOST_ROWS,
    also: tuple[str, ...] = (),
    n_results: int = 1,
) -> Generator[Part]:
    """Place one part of a sample after the other on this process's own devices.

    Parameters
    ----------
    data
        Events on the host, any number; or in files, of which each process has its slice.
    columns
        What to place.
    weighted
        Place the weights, where there are any.
    devices
        As in `select_devices`.
    most
        Rows per device and part.
    also
        Columns of files that are to be read besides.
    n_results
        Numbers per event that will be made.
    """
    start, stop = share_of(data)
    chosen = select_devices(stop - start, own_devices(devices), local=True)
    if isinstance(data, FileDataset):
        wanted = tuple(dict.fromkeys((*columns, *also)))
        rows = rows_in_budget(data, wanted, n_results, chosen[0].platform)
        shard = whole_shard(min(most, rows // len(chosen)), chosen[0].platform)
        yield from _of_files(data, (start, stop), columns, wanted, weighted, chosen, shard)
        return
    for first, last, lend in _ranges(data, columns, weighted, chosen, most):
        use = chosen if lend or last - first > _SMALL else chosen[:1]
        rows = slice(first, last)
        events = place(data, columns, rows=rows, weighted=weighted, devices=use, lend=lend)
        yield Part(first, data, rows, events)


def _of_files(
    data: FileDataset,
    own: tuple[int, int],
    columns: tuple[str, ...],
    wanted: tuple[str, ...],
    weighted: bool,
    devices: tuple[Any, ...],
    shard: int,
) -> Generator[Part]:
    """Place pieces of files, all with room for as many events, so that they share code."""
    block = block_size(shard, devices[0].platform)
    # A piece that fills the room which others are given is read where it is.
    is_lent = block * rung(shard // block) == shard
    for first, piece in pieces_of(data, wanted, *own, shard * len(devices)):
        n = piece.n_events
        lend, room = is_lent and n == shard * len(devices), shard if n < own[1] - own[0] else 0
        rows = slice(0, n)
        events = place(piece, columns, rows=rows, weighted=weighted, devices=devices, lend=lend, room=room)
        yield Part(first, piece, rows, events)


def pieces_of(
    data: FileDataset, columns: tuple[str, ...] | None, start: int, stop: int, rows: int
) -> Iterator[tuple[int, Dataset]]:
    """Yield pieces of files, each with the index of its first event; the thread that reads ahead ends with this."""
    if start == stop:
        return
    pieces: Any = data.pieces(rows, columns, start=start, stop=stop)
    with closing(pieces):
        for piece in pieces:
            n = piece.n_events
            yield start, piece
            # Gone before the next one is taken, or three would be alive.
            del piece
            start += n


def budget_of(data: FileDataset, platform: str = "cpu") -> int:
    """Return the bytes of events that may be in memory: granted, or a quarter of that of the host and the devices."""
    if data.memory_budget is not None:
        return int(data.memory_budget)
    return min(default_budget(kind) for kind in {"cpu", platform})


def bytes_read(data: FileDataset, columns: Iterable[str]) -> int:
    """Return the bytes of an event's columns of these names, and of its weight."""
    values = (data.head.numbers(name) for name in columns)
    return sum(v.itemsize * int(np.prod(v.shape[1:])) for v in values) + 8 * data.is_weighted


def rows_of_piece(budget: int, per_event: int) -> int:
    """Return how many rows a piece may have, where each takes so many bytes with all that is made of it."""
    return max(1, max(budget, _LEAST_BUDGET) // (_PIECES_ALIVE * max(1, per_event)))


def rows_in_budget(data: FileDataset, columns: tuple[str, ...], n_results: int = 1, platform: str = "cpu") -> int:
    """Return how many rows a piece may have in the memory that was granted."""
    return rows_of_piece(budget_of(data, platform), bytes_read(data, columns) + n_results * _BYTES_OF_RESULTS)


def whole_shard(most: int, platform: str) -> int:
    """Return as many rows of a shard, at least one block, as are a whole rung."""
    # On GPUs a block is a power of four times that of CPUs, which may be more than there are rows.
    power = 2 * ((max(1, most // CPU_BLOCK).bit_length() - 1) // 2)
    return _lendable(most, platform) or CPU_BLOCK << power


def _ranges(
    data: Dataset, names: tuple[str, ...], weighted: bool, devices: tuple[Any, ...], most: int
) -> Iterator[tuple[int, int, bool]]:
    """Yield rows from, to, and whether the devices can read them where they are.

    Large samples are cut at aligned rows into whole rungs, which the devices read in place; what is left at both
    ends is copied.
    """
    start, n_events, n_devices = 0, data.n_events, len(devices)
    if n_events > _SMALL * n_devices:
        columns = [data.numbers(name) for name in names] + ([data.weights] if weighted and data.is_weighted else [])
        gap = rows_to_alignment(columns)
        if gap is not None:
            if gap:
                yield 0, gap, False
                start = gap
            while (shard := _lendable(min(most, (n_events - start) // n_devices), devices[0].platform)) >= _SMALL:
                yield start, start + shard * n_devices, True
                start += shard * n_devices
    while start < n_events:
        stop = min(n_events, start + most * n_devices)
        yield start, stop, False
        start = stop


def _lendable(shard: int, platform: str) -> int:
    """Return the largest number of rows of a shard that is a whole rung."""
    block = block_size(shard, platform)
    return rung_below(shard // block) * block
