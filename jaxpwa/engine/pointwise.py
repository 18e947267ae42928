"""Values per event, chunk by chunk: the intensities of a sample, and who survives rejection."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from jaxpwa.engine.blocks import Arrays, PlacedEvents, gather
from jaxpwa.engine.devices import Devices, assemble, over_events, shards_of
from jaxpwa.engine.model import ModelInfo, ModelRef
from jaxpwa.engine.pieces import MOST_ROWS, Events, parts

T = TypeVar("T")

_CHUNK = MOST_ROWS


@dataclass(frozen=True)
class MapSpec:
    """All that the compiled code of values per event depends on, besides shapes."""

    model: ModelRef
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    dtype: str
    single: bool
    mesh: Mesh
    block: int


def values_of_blocks(spec: MapSpec, theta: jax.Array, arrays: Arrays) -> Callable[[jax.Array], jax.Array]:
    """Return the function that computes the (weighted) values of a block."""
    columns, _, weights, _ = arrays
    rounded = theta.astype(jnp.float32) if spec.single else theta
    params = {name: rounded[i] for i, name in enumerate(spec.parameters)}

    def of_block(i: jax.Array) -> jax.Array:
        part = [lax.dynamic_slice_in_dim(c, i * spec.block, spec.block) for c in columns]
        values = spec.model.function(params, dict(zip(spec.columns, part, strict=True)))
        if weights is not None:
            values = values * lax.dynamic_slice_in_dim(weights, i * spec.block, spec.block)
        return values.astype(spec.dtype)

    return of_block


@lru_cache(maxsize=128)
def compiled_map(spec: MapSpec) -> Callable[[np.ndarray, Arrays], jax.Array]:
    """Return the compiled values per event: ``(theta, arrays) -> (rows,)``, padded like the columns."""

    def local(theta: jax.Array, arrays: Arrays) -> jax.Array:
        of_block, n = values_of_blocks(spec, theta, arrays), arrays[3][0]

        def body(i: jax.Array, out: jax.Array) -> jax.Array:
            return lax.dynamic_update_slice_in_dim(out, of_block(i), i * spec.block, 0)

        start = jnp.zeros(len(arrays[0][0]), spec.dtype)
        return lax.fori_loop(0, (n + spec.block - 1) // spec.block, body, start)

    return over_events(spec.mesh, local, 1, 1)


def _negative_if_nan(values: jax.Array) -> jax.Array:
    """Mark NaN as negative: XLA's minimum and maximum on CPUs let it pass."""
    return jnp.where(values >= 0, values, jnp.asarray(-1, values.dtype))


@lru_cache(maxsize=32)
def compiled_range(mesh: Mesh) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the compiled look at intensities: ``(values, events here) -> smallest and largest (devices, 2)``."""

    def local(values: jax.Array, n_here: jax.Array) -> jax.Array:
        real = jnp.arange(len(values)) < n_here[0]
        smallest = jnp.min(jnp.where(real, _negative_if_nan(values), jnp.inf))
        return jnp.stack([smallest, jnp.max(jnp.where(real, values, -jnp.inf))])[None]

    return over_events(mesh, local, 0, 2)


@lru_cache(maxsize=128)
def compiled_simulation(spec: MapSpec) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Return the compiled pass for a maximum known beforehand: intensities never leave their block.

    ``(theta, key, maximum, arrays, first index of each shard) -> kept (rows,), smallest and largest (devices, 2)``.
    """

    def local(theta: jax.Array, key: jax.Array, maximum: jax.Array, arrays: Arrays, first: jax.Array) -> tuple:
        of_block, n, block = values_of_blocks(spec, theta, arrays), arrays[3][0], spec.block
        row = jnp.arange(block, dtype=jnp.int32)

        def body(i: jax.Array, state: tuple) -> tuple:
            kept, smallest, largest = state
            values = of_block(i)
            index = first[0] + (i * block + row).astype(first.dtype)
            keep = event_uniform(key, index) * maximum < values
            kept = lax.dynamic_update_slice_in_dim(kept, keep, i * block, 0)
            # Padding repeats a real row (and a weight of 0 times it is no new extreme but 0): no mask is needed
            # for the largest; the smallest is asked only whether it is negative.
            smallest = jnp.minimum(smallest, jnp.min(_negative_if_nan(values)))
            return kept, smallest, jnp.maximum(largest, jnp.max(values))

        nothing = jnp.asarray(np.inf, spec.dtype)
        start = jnp.zeros(len(arrays[0][0]), bool), nothing, -nothing
        kept, *extremes = lax.fori_loop(0, (n + block - 1) // block, body, start)
        return kept, jnp.stack(extremes)[None]

    return over_events(spec.mesh, local, 3, 2)


def _rotate(x: jax.Array, by: int) -> jax.Array:
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


def threefry(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32 with 20 rounds: two random words from a key and a 64-bit counter.

    The generator behind ``jax.random``, written out so that XLA makes one vectorised kernel of it
    (10^7 events: 23 ms on one core, against 87 ms for JAX's own, which loops over the rounds).

    References
    ----------
    Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC11), section 3.3 and table 2;
    Random123 for the rotation constants.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x0, x1 = high + keys[0], low + keys[1]
    for group in range(5):
        for by in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            x0 = x0 + x1
            x1 = _rotate(x1, by) ^ x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def event_uniform(key: jax.Array, index: jax.Array) -> jax.Array:
    """Return a number in [0, 1) that belongs to an event's index alone, with 53 random bits.

    Parameters
    ----------
    key
        Two uint32 words.
    index
        Position of the event in the whole sample, uint64 (uint32 where 64-bit numbers are off), any shape.
    """
    if index.dtype == jnp.uint32:  # 64-bit numbers are off: 24 bits make a float32
        return (threefry(key, jnp.zeros_like(index), index)[0] >> np.uint32(8)).astype(jnp.float32) * 2.0**-24
    high, low = threefry(key, (index >> 32).astype(jnp.uint32), index.astype(jnp.uint32))
    # 32 + 21 bits; halves are added as doubles, exact, since 64-bit integers are slow on some devices.
    return high.astype(jnp.float64) * 2.0**-32 + (low >> np.uint32(11)).astype(jnp.float64) * 2.0**-53


@lru_cache(maxsize=32)
def compiled_rejection(mesh: Mesh) -> Callable[..., jax.Array]:
    """Return the compiled draw: ``(key, maximum, values, first index of each shard) -> kept (rows,)``."""

    def local(key: jax.Array, maximum: jax.Array, values: jax.Array, first: jax.Array) -> jax.Array:
        index = first[0] + jnp.arange(len(values), dtype=first.dtype)
        return event_uniform(key, index) * maximum < values

    return over_events(mesh, local, 2, 2)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive events on the devices, and what to compute for them.

    Attributes
    ----------
    start
        Index of the first event in the whole sample.
    events
        The events.
    spec, theta
        The model and its parameters.
    """

    start: int
    events: PlacedEvents
    spec: MapSpec
    theta: np.ndarray

    def _first(self) -> jax.Array:
        """Return the index of the first event of each shard."""
        cuts, dtype = self.events.cuts[:-1], jax.dtypes.canonicalize_dtype(np.uint64)
        return assemble([np.array([self.start + c], dtype) for c in cuts], self.events.mesh)

    def launch_values(self) -> jax.Array:
        """Start the computation of the values, ``(rows,)``, padded."""
        return compiled_map(self.spec)(self.theta, self.events.arrays)

    def launch_simulation(self, key: np.ndarray, maximum: float) -> tuple[jax.Array, jax.Array]:
        """Start the computation of who survives, and of the smallest and largest intensity."""
        simulate = compiled_simulation(self.spec)
        return simulate(self.theta, key, np.float64(maximum), self.events.arrays, self._first())


@dataclass(frozen=True)
class Values:
    """Values of a chunk on the devices, without its columns.

    Attributes
    ----------
    start, cuts, mesh
        Of the chunk.
    n_here
        Events on each device.
    first
        Index of the first event of each shard.
    values
        Values per event, padded.
    """

    start: int
    cuts: np.ndarray
    mesh: Mesh
    n_here: jax.Array
    first: jax.Array
    values: jax.Array

    @classmethod
    def of(cls, chunk: Chunk) -> "Values":
        """Start the computation and let the chunk's columns go."""
        events = chunk.events
        return cls(chunk.start, events.cuts, events.mesh, events.arrays[3], chunk._first(), chunk.launch_values())

    def launch_range(self) -> jax.Array:
        """Start the search for the smallest and the largest value."""
        return compiled_range(self.mesh)(self.values, self.n_here)

    def launch_rejection(self, key: np.ndarray, maximum: float) -> jax.Array:
        """Start the draw of who survives."""
        return compiled_rejection(self.mesh)(key, np.float64(maximum), self.values, self.first)


def value_range(raw: jax.Array) -> tuple[float, float]:
    """Wait for the smallest and the largest value; the smallest is negative where any value is negative or NaN."""
    rows = np.concatenate(shards_of(raw))
    return float(rows[:, 0].min()), float(rows[:, 1].max())


def chunks(
    model: ModelRef,
    info: ModelInfo,
    parameters: tuple[str, ...],
    theta: np.ndarray,
    data: Events,
    *,
    weighted: bool = False,
    devices: Devices = None,
) -> Generator[Chunk]:
    """Cut a sample into chunks and place one after the other.

    Parameters
    ----------
    model, info, parameters, theta
        The model, what `inspect_model` said of it, and the values of its parameters.
    data
        Events on the host, any number; or in files, of which each process computes its slice.
    weighted
        Multiply each value by the event's weight.
    devices
        As in `select_devices`.
    """
    single, dtype = data.dtype == "float32", str(info.dtype)
    for part in parts(data, info.columns, weighted=weighted, devices=devices, most=_CHUNK):
        events = part.events
        spec = MapSpec(model, parameters, info.columns, dtype, single, events.mesh, events.block)
        yield Chunk(part.start, events, spec, theta)


def one_ahead(started: Iterator[T]) -> Iterator[T]:
    """Yield each piece of work only when the next one has been started, so that devices do not wait for the host."""
    last: list[T] = []
    for work in started:
        yield from last
        last = [work]
    yield from last


def all_values(
    running: Iterator[Chunk], n_events: int, dtype: Any, on_chunk: Callable[[int], Any], first: int = 0
) -> np.ndarray:
    """Compute all chunks, one always ahead, and return their values on the host, ``(events,)``, from event first on."""
    out = np.empty(n_events, dtype)
    started = ((chunk.start - first, chunk.events.cuts, chunk.launch_values()) for chunk in running)
    for start, cuts, values in one_ahead(started):
        n = int(cuts[-1])
        gather(values, cuts, out[start : start + n])
        on_chunk(n)
    return out
