"""Values per event, chunk by chunk: the intensities of a sample, and who survives rejection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from jaxpwa.data.dataset import Dataset
from jaxpwa.engine.blocks import Arrays, gather, place
from jaxpwa.engine.devices import EVENTS, Devices, assemble, compiler_options, select_devices, shards_of
from jaxpwa.engine.model import ModelInfo, ModelRef

# Events per device and chunk: enough to hide the cost of a call, few enough to bound memory.
_CHUNK = 1 << 20


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


def _sharded(mesh: Mesh, local: Callable[..., Any], n_replicated: int, n_split: int) -> Callable[..., Any]:
    """Compile a function of replicated and of split arguments, all results split."""
    specs = (PartitionSpec(),) * n_replicated + (PartitionSpec(EVENTS),) * n_split
    mapped = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(EVENTS), check_vma=False)
    return jax.jit(mapped, compiler_options=compiler_options(mesh))


@lru_cache(maxsize=128)
def compiled_map(spec: MapSpec) -> Callable[[np.ndarray, Arrays], jax.Array]:
    """Return the compiled values per event: ``(theta, arrays) -> (rows,)``, padded like the columns."""

    def local(theta: jax.Array, arrays: Arrays) -> jax.Array:
        columns, _, weights, n_here = arrays
        n, block = n_here[0], spec.block
        rounded = theta.astype(jnp.float32) if spec.single else theta
        params = {name: rounded[i] for i, name in enumerate(spec.parameters)}

        def body(i: jax.Array, out: jax.Array) -> jax.Array:
            part = [lax.dynamic_slice_in_dim(c, i * block, block) for c in columns]
            values = spec.model.function(params, dict(zip(spec.columns, part, strict=True)))
            if weights is not None:
                values = values * lax.dynamic_slice_in_dim(weights, i * block, block)
            return lax.dynamic_update_slice_in_dim(out, values.astype(out.dtype), i * block, 0)

        return lax.fori_loop(0, (n + block - 1) // block, body, jnp.zeros(len(columns[0]), spec.dtype))

    return _sharded(spec.mesh, local, 1, 1)


@lru_cache(maxsize=32)
def compiled_extremes(mesh: Mesh) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the compiled check of intensities: per device the largest, and how many are unusable."""

    def local(values: jax.Array, n_here: jax.Array) -> jax.Array:
        real = jnp.arange(len(values)) < n_here[0]
        good = jnp.isfinite(values) & (values >= 0)
        largest = jnp.max(jnp.where(real & good, values, -jnp.inf))
        return jnp.stack([largest, jnp.sum(real & ~good).astype(values.dtype)])[None]

    return _sharded(mesh, local, 0, 2)


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
        Position of the event in the whole sample, uint64, any shape.
    """
    high, low = threefry(key, (index >> 32).astype(jnp.uint32), index.astype(jnp.uint32))
    # 32 + 21 bits; halves are added as doubles, exact, since 64-bit integers are slow on some devices.
    return high.astype(jnp.float64) * 2.0**-32 + (low >> np.uint32(11)).astype(jnp.float64) * 2.0**-53


@lru_cache(maxsize=32)
def compiled_rejection(mesh: Mesh) -> Callable[..., jax.Array]:
    """Return the compiled draw: ``(key, maximum, values, first index of each shard) -> kept (rows,)``."""

    def local(key: jax.Array, maximum: jax.Array, values: jax.Array, first: jax.Array) -> jax.Array:
        index = first[0] + jnp.arange(len(values), dtype=jnp.uint64)
        return event_uniform(key, index) * maximum < values

    return _sharded(mesh, local, 2, 2)


@dataclass(frozen=True)
class Chunk:
    """Values of some consecutive events, still on the devices.

    Attributes
    ----------
    start
        Index of the first event in the sample.
    cuts
        First event of each shard, counted from ``start``, and the number of events at the end.
    mesh
        The devices.
    n_here
        Number of events on each device, there.
    values
        Values per event, padded.
    """

    start: int
    cuts: np.ndarray
    mesh: Mesh
    n_here: jax.Array
    values: jax.Array

    @property
    def n_events(self) -> int:
        """Number of events in this chunk."""
        return int(self.cuts[-1])

    @property
    def rows(self) -> slice:
        """Where these events are in the sample."""
        return slice(self.start, self.start + self.n_events)

    def host_values(self) -> np.ndarray:
        """Wait, and return the values on the host, shape ``(events,)``."""
        return gather(self.values, self.cuts)

    def launch_extremes(self) -> jax.Array:
        """Start the search for the largest value and the unusable ones."""
        return compiled_extremes(self.mesh)(self.values, self.n_here)

    def launch_rejection(self, key: np.ndarray, maximum: float) -> jax.Array:
        """Start the draw of who survives."""
        first = assemble([np.array([self.start + c], np.uint64) for c in self.cuts[:-1]], self.mesh)
        return compiled_rejection(self.mesh)(key, np.float64(maximum), self.values, first)


def extremes(raw: jax.Array) -> tuple[float, int]:
    """Wait for `Chunk.launch_extremes`: the largest usable value and the number of unusable ones."""
    rows = [shard[0] for shard in shards_of(raw)]
    return float(max(r[0] for r in rows)), int(sum(r[1] for r in rows))


def chunks(
    model: ModelRef,
    info: ModelInfo,
    parameters: tuple[str, ...],
    theta: np.ndarray,
    data: Dataset,
    *,
    weighted: bool = False,
    devices: Devices = None,
) -> Iterator[Chunk]:
    """Compute a model's values for a sample, chunk by chunk, each started without waiting for the last.

    Parameters
    ----------
    model, info, parameters, theta
        The model, what `inspect_model` said of it, and the values of its parameters.
    data
        Events on the host, any number.
    weighted
        Multiply each value by the event's weight.
    devices
        As in `select_devices`.
    """
    chosen = select_devices(data.n_events, devices)
    single = data.dtype == "float32"
    step = _CHUNK * len(chosen)
    source = data if weighted else data.with_weights(None)
    for start in range(0, data.n_events, step):
        whole = start == 0 and data.n_events <= step
        part = source if whole else source.select(slice(start, start + step))
        events = place(part, info.columns, keep_all=True, devices=chosen)
        spec = MapSpec(model, parameters, info.columns, str(info.dtype), single, events.mesh, events.block)
        values = compiled_map(spec)(theta, events.arrays)
        yield Chunk(start, events.cuts, events.mesh, events.arrays[3], values)
