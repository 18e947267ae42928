"""Events in files, as costs see them: this process's share, and what is known of all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import jax
from jax.sharding import Mesh

from jaxpwa._processes import process_count, process_index
from jaxpwa._progress import progress_bar
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.filedata import FileDataset
from jaxpwa.engine.blocks import (
    PlacedEvents,
    block_size,
    check_finite,
    place,
    rows_to_alignment,
    rung,
    used_events,
)
from jaxpwa.engine.devices import Devices, event_mesh, select_devices
from jaxpwa.engine.integrals import Fingerprint
from jaxpwa.engine.pieces import (
    MOST_ROWS,
    budget_of,
    bytes_read,
    check_same_length,
    own_devices,
    pieces_of,
    rows_of_all,
    rows_of_piece,
    whole_shard,
)
from jaxpwa.engine.processes import errors_shared, exchange, own_range

# More than any memory, and a number that processes can tell each other.
_ANY_BUDGET = 1 << 62


@dataclass(frozen=True)
class Totals:
    """What is known of all events in files, those of every process.

    Attributes
    ----------
    n_events, n_used
        How many, and how many have a weight other than 0.
    sum_of_weights, sum_of_squares
        Of their weights.
    has_weights
        Whether any weight is neither 0 nor 1.
    """

    n_events: int
    n_used: int
    sum_of_weights: float
    sum_of_squares: float
    has_weights: bool

    @classmethod
    def of(cls, data: Dataset) -> "Totals":
        """Look at the weights of a table."""
        n = data.n_events
        if not data.is_weighted:
            return cls(n, n, float(n), float(n), False)
        w = data.weights
        return cls(n, int(np.count_nonzero(w)), float(w.sum()), float(w @ w), not np.isin(w, (0.0, 1.0)).all())

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.n_events + other.n_events,
            self.n_used + other.n_used,
            self.sum_of_weights + other.sum_of_weights,
            self.sum_of_squares + other.sum_of_squares,
            self.has_weights or other.has_weights,
        )

    def everywhere(self) -> tuple["Totals", np.ndarray]:
        """Return the totals of all processes, and how many events that count each has."""
        mine = (self.n_events, self.n_used, self.sum_of_weights, self.sum_of_squares, self.has_weights)
        rows = exchange(np.array(mine, np.float64))
        parts = [Totals(int(r[0]), int(r[1]), float(r[2]), float(r[3]), bool(r[4])) for r in rows]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total, rows[:, 1].astype(np.int64)


NOTHING = Totals(0, 0, 0.0, 0.0, False)


@dataclass(frozen=True, eq=False)
class FileEvents:
    """Events in files, and this process's share of them, as sums go over them: in place of a `Dataset` in costs.

    Attributes
    ----------
    files
        The events.
    names
        Columns that are needed.
    what
        Their name in messages.
    devices
        Those that compute: of this process, where events are streamed, else of all.
    budget
        Bytes of events in memory.
    is_streamed
        Whether they are read at every call.
    totals
        What is known of the events of all processes.
    shares
        How many events that count each process has, ``(processes,)``.
    """

    files: FileDataset
    names: tuple[str, ...]
    what: str
    devices: tuple[Any, ...]
    budget: int
    is_streamed: bool
    totals: Totals = NOTHING
    shares: np.ndarray | None = None

    @property
    def head(self) -> Dataset:
        """The first few events."""
        return self.files.head

    @property
    def dtype(self) -> str:
        """The type of real columns."""
        return self.files.dtype

    @property
    def is_weighted(self) -> bool:
        """Whether events have weights."""
        return self.files.is_weighted

    @property
    def n_events(self) -> int:
        """Number of events of all processes."""
        return self.totals.n_events

    @property
    def sum_of_weights(self) -> float:
        """Sum of the weights of all processes' events."""
        return self.totals.sum_of_weights

    @property
    def mesh(self) -> Mesh:
        """The mesh of the devices that compute."""
        return event_mesh(self.devices)

    def rows(self, more: int = 0) -> int:
        """Return the events of a piece, where each takes so many bytes more than its columns."""
        most = rows_of_piece(self.budget, bytes_read(self.files, self.names) + more)
        n = len(self.devices)
        return n * whole_shard(min(MOST_ROWS, most // n), self.devices[0].platform)

    def tables(self, rows: int) -> Iterator[tuple[int, Dataset]]:
        """Yield pieces of this process's share, each with the index of its first event in the whole."""
        start, stop = own_range(self.files.n_events)
        with progress_bar(f"read {self.what}", stop - start, " events") as bar:
            for first, table in pieces_of(self.files, self.names, start, stop, rows):
                yield first, table
                bar.update(table.n_events)
                del table

    def placed(self, rows: int) -> Iterator[PlacedEvents]:
        """Yield pieces on the devices; all have room for equally many events, so that they share code."""
        room = -(-rows // len(self.devices))
        block = block_size(room, self.devices[0].platform)
        # A CPU reads what was just read where it is, if that is as long as the room that others are given.
        may_lend = self.devices[0].platform == "cpu" and block * rung(room // block) == room
        for _, table in self.tables(rows):
            lend = may_lend and table.n_events == rows and _is_lendable(table, self.names)
            yield place(table, self.names, what=self.what, devices=self.devices, room=room, check=False, lend=lend)
            del table

    def place_share(self) -> PlacedEvents:
        """Read this process's share, and place it beside those of the others."""
        start, stop = own_range(self.files.n_events)
        with errors_shared():
            table = self.files.read(self.names, start=start, stop=stop)
        return place(table, self.names, what=self.what, devices=self.devices, shares=self.shares, check=False)

    def _check(self, start: int, table: Dataset) -> None:
        used = used_events(table)
        rows = np.arange(start, start + table.n_events)[used]
        for name in self.names:
            where = f"{self.what}, events {start} to {start + table.n_events - 1}"
            check_finite(name, table.numbers(name)[used], rows, where)

    def surveyed(self) -> "FileEvents":
        """Return the same with all read once: events are counted, numbers that are not finite refused, by all alike.

        Raises
        ------
        ValueError
            If a number is not finite, or no event counts.
        """
        total = NOTHING
        with errors_shared():
            for start, table in self.tables(self.rows()):
                self._check(start, table)
                total = total + Totals.of(table)
        totals, shares = total.everywhere()
        if not totals.n_used:
            why = "all weights are 0" if totals.n_events else "there are none"
            msg = f"{self.what} must have events that count: {why}."
            raise ValueError(msg)
        return replace(self, totals=totals, shares=shares)

    def fingerprint(self) -> str:
        """Return a hash of columns and weights: of the whole sample or, of several processes, of their shares."""
        whole = Fingerprint(self.names)
        with errors_shared():
            for _, table in self.tables(self.rows()):
                whole.update(table)
        digest = whole.hexdigest()
        if process_count() == 1:
            return digest
        shares = Fingerprint(("shares",))
        shares.update(Dataset({"shares": exchange(np.frombuffer(digest.encode(), np.uint8)).ravel()}))
        return shares.hexdigest()

    def sample(self, most: int) -> dict[str, np.ndarray]:
        """Return the columns of so many events that count, or all, evenly spaced over those of all processes."""
        wanted = np.unique(np.linspace(0, self.totals.n_used - 1, most).astype(np.intp))
        shares = [] if self.shares is None else self.shares[: process_index()]
        found, first = [{name: self.head.numbers(name)[:0] for name in self.names}], int(np.sum(shares))
        with errors_shared():
            for _, table in self.tables(self.rows()):
                used = np.arange(table.n_events)[used_events(table)]
                here = wanted[slice(*np.searchsorted(wanted, (first, first + len(used))))] - first
                found.append({name: table.numbers(name)[used[here]] for name in self.names})
                first += len(used)
        return {name: rows_of_all(np.concatenate([part[name] for part in found])) for name in self.names}


def opened(files: FileDataset, names: tuple[str, ...], what: str, devices: Devices) -> Dataset | FileEvents:
    """Decide where the events of files are kept: all in memory, or read at every call.

    Returns
    -------
    A `Dataset` where this is the only process and its memory holds them; else what sums can go over.

    Raises
    ------
    ValueError
        If processes of a run see different files, numbers are not finite, or no event counts.
    """
    check_same_length(files, what)
    share = -(-files.n_events // process_count())
    with errors_shared():
        chosen = select_devices(share, own_devices(devices), local=True)
    budget = int(exchange(np.int64(min(budget_of(files, chosen[0].platform), _ANY_BUDGET))).min())
    # As they are read, and on the devices.
    fits = 2 * bytes_read(files, names) * share <= budget
    if fits and process_count() == 1:
        return files.read(names)
    found = FileEvents(files, names, what, chosen, budget, not fits).surveyed()
    if not fits:
        return found
    return replace(found, devices=tuple(jax.devices()))


def _is_lendable(table: Dataset, names: tuple[str, ...]) -> bool:
    """Tell whether the devices can read these columns in place (see `place`)."""
    columns = [table.numbers(name) for name in names] + [table.weights] * table.is_weighted
    return isinstance(used_events(table), slice) and rows_to_alignment(columns) == 0
