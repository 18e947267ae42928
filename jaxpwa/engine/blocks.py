"""Events on the devices: cut into one shard per device, padded to whole blocks and to a ladder of lengths.

Work goes block by block, so that everything of event length lives in the cache of a core. A shard is as
long as a rung of the ladder, so that data of many lengths share one compilation, while only the blocks
that hold events are visited: padding costs no time, and, as pages that nobody touches, no memory.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

import jax
from jax.sharding import Mesh

from jaxpwa._checks import first_bad
from jaxpwa._memory import ALIGNMENT, aligned
from jaxpwa._processes import process_index
from jaxpwa._settings import usable_cores
from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.devices import (
    Devices,
    assemble,
    assemble_all,
    event_mesh,
    is_shared,
    memory_per_device,
    own_positions,
    select_devices,
    shards_of,
)

Arrays: TypeAlias = tuple[tuple[jax.Array, ...], tuple[jax.Array, ...], jax.Array | None, jax.Array]
"""Columns, extra columns, weights or None, events on each device: what compiled functions take.
Built-in containers only: JAX unpacks them in C++ at every call."""

# 4096 doubles per column fit the L2 cache with room for tens of intermediates. Half of it is three times
# slower: XLA then emits the loop's body as one kernel that it does not vectorise.
CPU_BLOCK = 4096
# A row of a block is in flight with some hundred doubles: value, gradient and Hessian of tens of parameters.
_BYTES_IN_FLIGHT = 4096
_SHARE_IN_FLIGHT = 8
_WORTH_THREADS = 1 << 18


def largest_block(memory: int) -> int:
    """Return the most rows per block on a GPU with so many bytes: a power of four times the block of CPUs."""
    size = CPU_BLOCK
    while 4 * size * _BYTES_IN_FLIGHT * _SHARE_IN_FLIGHT <= memory:
        size *= 4
    return size


def block_size(n_shard: int, platform: str) -> int:
    """Return the rows per block: fixed on CPUs, growing in powers of four with shard and memory on GPUs."""
    if platform == "cpu":
        return CPU_BLOCK
    size, most = CPU_BLOCK, largest_block(memory_per_device())
    while size < min(n_shard, most):
        size *= 4
    return size


def rung(n_blocks: int) -> int:
    """Return the smallest rung of the ladder that holds ``n_blocks``: 16, 64, then 8 per octave.

    Few events are given much room: it is not visited, and bins of all sizes up to some ten thousand share code.
    """
    for small in (16, 64):
        if n_blocks <= small:
            return small
    step = 1 << ((n_blocks - 1).bit_length() - 4)
    return -(-n_blocks // step) * step


def rung_below(n_blocks: int) -> int:
    """Return the largest rung that is not above ``n_blocks``: of the ladder, or 1 or 4, for pieces that fill theirs."""
    if n_blocks <= 64:
        return max((r for r in (1, 4, 16, 64) if r <= n_blocks), default=0)
    step = 1 << (n_blocks.bit_length() - 4)
    return n_blocks // step * step


def split_evenly(n_events: int, n_parts: int) -> np.ndarray:
    """Return the cuts, ``(n_parts + 1,)``, of sizes that differ by at most one, larger ones first."""
    size, extra = divmod(n_events, n_parts)
    return np.concatenate([[0], np.cumsum([size + (i < extra) for i in range(n_parts)])])


def rows_to_alignment(columns: Sequence[np.ndarray]) -> int | None:
    """Return how many rows from the start the columns are aligned, or None where they can't be lent.

    JAX's CPU backend computes on numpy's memory without a copy where it is contiguous and aligned to 64 bytes.
    """
    rows = set()
    for values in columns:
        size = values.itemsize * int(np.prod(values.shape[1:]))
        gap = -values.ctypes.data % ALIGNMENT
        if not values.flags.c_contiguous or gap % size:
            return None
        rows.add(gap // size)
    return rows.pop() if len(rows) == 1 else None


def _fill(shard: np.ndarray, values: np.ndarray, block: int, pad: float | None) -> None:
    """Copy one device's events into its shard; the rest of the last block repeats the last row.

    Rows of zeros would do harm: 0 * log(0) is NaN in the value and in the gradient.
    """
    n = len(values)
    shard[:n] = values
    if n:
        shard[n : -(-n // block) * block] = values[-1] if pad is None else pad


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


def spread(events: PlacedEvents, mesh: Mesh) -> PlacedEvents:
    """Return the same events on a mesh that has more devices, which get empty shards.

    What each of several processes has on devices of its own, the same everywhere, counts once: on those of process 0.
    """
    if events.mesh == mesh:
        return events
    # Every process must name the same devices, those of process 0, to know how many events each has.
    ranks = [i for i, d in enumerate(mesh.devices.flat) if d.process_index == mesh.devices.flat[0].process_index]
    own = [i for i, d in enumerate(mesh.devices.flat) if d in set(events.mesh.devices.flat)]
    if is_shared(mesh):
        place_of = dict(zip(events.mesh.devices.flat, ranks, strict=False))
        is_giver = process_index() == mesh.devices.flat[0].process_index
    else:
        place_of, is_giver = dict(zip(events.mesh.devices.flat, own, strict=True)), True

    def one(array: jax.Array) -> jax.Array:
        parts = {place_of[shard.device]: shard.data for shard in array.addressable_shards} if is_giver else {}
        like = array.addressable_shards[0].data
        shards = [parts[i] if i in parts else np.zeros(like.shape, like.dtype) for i in range(mesh.devices.size)]
        return assemble(shards, mesh)

    sizes = {place_of[d]: n for d, n in zip(events.mesh.devices.flat, np.diff(events.cuts), strict=True)}
    cuts = np.concatenate([[0], np.cumsum([sizes.get(i, 0) for i in range(mesh.devices.size)])])
    return PlacedEvents(jax.tree.map(one, events.arrays), mesh, events.block, cuts)


def gather(array: jax.Array, cuts: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Copy per-event results of this process's devices to the host, ``(events,)``, without padding."""
    parts = shards_of(array)
    cuts = own_cuts(array, cuts)
    if out is None:
        out = np.empty((int(cuts[-1]), *array.shape[1:]), array.dtype)
    for part, start, stop in zip(parts, cuts[:-1], cuts[1:], strict=True):
        out[start:stop] = part[: stop - start]
    return out


def own_cuts(array: jax.Array, cuts: np.ndarray) -> np.ndarray:
    """Return the cuts of this process's devices, from 0 on."""
    if array.is_fully_addressable:
        return cuts
    own = own_positions(array.sharding.mesh)  # type: ignore[attr-defined]
    return cuts[own[0] : own[-1] + 2] - cuts[own[0]]


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
    rows: slice | None = None,
    weighted: bool = True,
    lend: bool = False,
    shares: np.ndarray | None = None,
    room: int = 0,
    check: bool = True,
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
    rows
        None: the events whose weight is not 0, all of which must be finite in the columns named. A slice: these
        rows as they are, for values per event, where there is no sum to poison.
    weighted
        Place the weights, where there are any.
    lend
        Let the devices read the host's memory where they can, instead of a copy: for work that ends before the
        caller gets control back, on whole rungs of aligned rows (see `rows_to_alignment`).
    shares
        None: every process has the same events. Else each has its own, so many: ``(processes,)``, and the mesh has the
        devices of all.
    room
        Events per device that there shall be room for, so that pieces of a sample share code.
    check
        Whether to look for numbers that are not finite.

    Raises
    ------
    ValueError, TypeError
        If a column is missing, holds no numbers, or is not finite where the weight is not 0.
    """
    used = used_events(data) if rows is None else rows
    weighted = weighted and data.is_weighted
    columns = []
    for name in names:
        values = data.numbers(name)[used]
        if rows is None and check:
            check_finite(name, values, used, what)
        columns.append(values)
    n_events = len(range(data.n_events)[used]) if isinstance(used, slice) else len(used)
    mesh = event_mesh(select_devices(n_events if shares is None else int(shares.max()), devices))
    own, n_devices = own_positions(mesh), mesh.devices.size
    if shares is None:
        cuts, first = split_evenly(n_events, n_devices), 0
    else:
        owners = [d.process_index for d in mesh.devices.flat]
        each = [split_evenly(int(n), owners.count(p)) for p, n in enumerate(shares)]
        cuts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part) for part in each]))])
        first = int(cuts[own[0]])
    largest = max(int(np.diff(cuts).max()), room)
    block = block_size(largest, mesh.devices.flat[0].platform)
    length = block * rung(max(1, -(-largest // block)))

    wanted: list[tuple[np.ndarray, float | None]] = [(_as_on_devices(values), None) for values in columns]
    wanted += [(_as_on_devices(np.asarray(e, np.float64)[used]), None) for e in extras]
    if weighted:
        wanted.append((_as_on_devices(data.weights[used]), 0.0))
    parts = [(v[cuts[i] - first : cuts[i + 1] - first], pad) for v, pad in wanted for i in own]
    if lend:
        shards = [part for part, _ in parts]
    else:
        shards = [aligned((length, *part.shape[1:]), part.dtype, passing=room > 0) for part, _ in parts]
        _fill_all([(shard, part, block, pad) for shard, (part, pad) in zip(shards, parts, strict=True)], len(own))
    every: list[list[Any]] = []
    for i in range(0, len(shards), len(own)):
        every.append([None] * n_devices)
        for position, shard in zip(own, shards[i : i + len(own)], strict=True):
            every[-1][position] = shard
    every.append(list(np.diff(cuts).astype(np.int32)[:, None]))
    *placed, n_here = assemble_all(every, mesh)
    n_columns, n_extras = len(columns), len(extras)
    arrays = (
        tuple(placed[:n_columns]),
        tuple(placed[n_columns : n_columns + n_extras]),
        placed[-1] if weighted else None,
        n_here,
    )
    return PlacedEvents(arrays, mesh, block, cuts)


def _as_on_devices(values: np.ndarray) -> np.ndarray:
    """Return values in the type that JAX gives them: narrower ones where 64-bit numbers are off."""
    return values.astype(jax.dtypes.canonicalize_dtype(values.dtype), copy=False)


def _fill_all(pieces: list[tuple], n_threads: int) -> None:
    """Fill all shards, in threads where they are large: copying and the first touch of memory take time."""
    if n_threads == 1 or sum(len(values) for _, values, *_ in pieces) < _WORTH_THREADS:
        for piece in pieces:
            _fill(*piece)
    else:
        with ThreadPoolExecutor(min(n_threads, usable_cores())) as pool:
            list(pool.map(lambda piece: _fill(*piece), pieces))
