"""Events on the devices: cut into one shard per device, padded to whole blocks and to a ladder of lengths.

Work goes block by block, so that everything of event length lives in the cache of a core. A shard is as
long as a rung of the ladder, so that data of many lengths share one compilation, while only the blocks
that hold events are visited: padding costs no time, and, as pages that nobody touches, no memory.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

import jax
from jax.sharding import Mesh

from jaxpwa._checks import first_bad
from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.devices import Devices, assemble, event_mesh, select_devices, shards_of

Arrays: TypeAlias = tuple[tuple[jax.Array, ...], tuple[jax.Array, ...], jax.Array | None, jax.Array]
"""Columns, extra columns, weights or None, events on each device: what compiled functions take.
Built-in containers only: JAX unpacks them in C++ at every call."""

# 4096 doubles per column fit the L2 cache with room for tens of intermediates. Half of it is three times
# slower: XLA then emits the loop's body as one kernel that it does not vectorise.
_CPU_BLOCK = 4096
_GPU_BLOCK = 1 << 20
_ALIGNMENT = 64


def block_size(n_shard: int, platform: str) -> int:
    """Return the rows per block: fixed on CPUs, growing in powers of four with the shard on GPUs."""
    if platform == "cpu":
        return _CPU_BLOCK
    size = _CPU_BLOCK
    while size < min(n_shard, _GPU_BLOCK):
        size *= 4
    return size


def rung(n_blocks: int) -> int:
    """Return the smallest rung of the ladder that holds ``n_blocks``: 1, 4, 16, 64, then 8 per octave."""
    for small in (1, 4, 16, 64):
        if n_blocks <= small:
            return small
    step = 1 << ((n_blocks - 1).bit_length() - 4)
    return -(-n_blocks // step) * step


def split_evenly(n_events: int, n_parts: int) -> np.ndarray:
    """Return the cuts, ``(n_parts + 1,)``, of sizes that differ by at most one, larger ones first."""
    size, extra = divmod(n_events, n_parts)
    return np.concatenate([[0], np.cumsum([size + (i < extra) for i in range(n_parts)])])


def _aligned(length: int, like: np.ndarray) -> np.ndarray:
    """Return an empty array aligned to 64 bytes, which JAX's CPU backend takes over without a copy."""
    shape = (length, *like.shape[1:])
    n_bytes = int(np.prod(shape)) * like.dtype.itemsize
    raw = np.empty(n_bytes + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + n_bytes].view(like.dtype).reshape(shape)


def _shards(values: np.ndarray, cuts: np.ndarray, length: int, block: int, fill: float | None) -> list[np.ndarray]:
    """Copy each device's events into a fresh shard; the rest of the last block repeats its last row.

    Rows of zeros would do harm: 0 * log(0) is NaN in the value and in the gradient.
    """
    shards = []
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        shard, n = _aligned(length, values), stop - start
        shard[:n] = values[start:stop]
        if n:
            shard[n : -(-n // block) * block] = values[stop - 1] if fill is None else fill
        shards.append(shard)
    return shards


@dataclass(frozen=True)
class PlacedEvents:
    """Events on the devices.

    Attributes
    ----------
    arrays
        What compiled functions take: columns, extra columns, weights or None, events on each device.
    mesh, block
        Where they are and how many rows make a block.
    cuts
        First event of each shard, and the number of events at the end.
    """

    arrays: Arrays
    mesh: Mesh
    block: int
    cuts: np.ndarray

    @property
    def n_events(self) -> int:
        """Number of events placed; those of weight 0 are not."""
        return int(self.cuts[-1])


def gather(array: jax.Array, cuts: np.ndarray) -> np.ndarray:
    """Return per-event results, ``(events,)`` on the host, without the padding of the shards."""
    out = np.empty((int(cuts[-1]), *array.shape[1:]), array.dtype)
    for part, start, stop in zip(shards_of(array), cuts[:-1], cuts[1:], strict=True):
        out[start:stop] = part[: stop - start]
    return out


def used_events(data: Dataset) -> np.ndarray | slice:
    """Return the rows that take part in sums: those whose weight is not 0."""
    if data.is_weighted and not np.all(data.weights):
        return np.flatnonzero(data.weights)
    return slice(None)


def check_finite(name: str, values: np.ndarray, rows: np.ndarray | slice, what: str) -> None:
    """Refuse NaN and infinity in a column that the intensity reads."""
    # One sum tells whether all are finite, without a temporary of event length.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    bad = np.asarray(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if bad.any():
        first = first_bad(bad)
        event = first if isinstance(rows, slice) else int(rows[first])
        msg = (
            f"{what}: column {name!r} is NaN or infinite for {int(bad.sum())} of {len(values)} events "
            f"(first: event {event}). Drop these events or give them weight 0."
        )
        raise ValueError(msg)


def place(
    data: Dataset,
    names: tuple[str, ...],
    *,
    what: str = "data",
    extras: tuple[np.ndarray, ...] = (),
    devices: Devices = None,
    keep_all: bool = False,
) -> PlacedEvents:
    """Copy the columns that are needed to the devices, once.

    Parameters
    ----------
    data
        Events on the host.
    names
        Columns to place.
    what
        Name of the data in messages.
    extras
        More columns ``(events,)`` that are not the intensity's: counts, measured values.
    devices
        As in `select_devices`.
    keep_all
        Keep events of weight 0 and values that are not finite: for values per event, where there is no sum
        to poison.

    Raises
    ------
    ValueError, TypeError
        If a column is missing, holds no numbers, or is not finite where the weight is not 0.
    """
    rows = slice(None) if keep_all else used_events(data)
    columns = []
    for name in names:
        values = data.numbers(name)[rows]
        if not keep_all:
            check_finite(name, values, rows, what)
        columns.append(values)
    n_events = data.n_events if isinstance(rows, slice) else len(rows)
    mesh = event_mesh(select_devices(n_events, devices))
    n_devices = mesh.devices.size
    cuts = split_evenly(n_events, n_devices)
    largest = int(cuts[1])
    block = block_size(largest, mesh.devices.flat[0].platform)
    length = block * rung(max(1, -(-largest // block)))

    def put(values: np.ndarray, fill: float | None = None) -> jax.Array:
        return assemble(_shards(values, cuts, length, block, fill), mesh)

    arrays = (
        tuple(put(v) for v in columns),
        tuple(put(np.asarray(e, np.float64)[rows]) for e in extras),
        put(data.weights[rows], fill=0.0) if data.is_weighted else None,
        assemble(list(np.diff(cuts).astype(np.int32)[:, None]), mesh),
    )
    return PlacedEvents(arrays, mesh, block, cuts)
