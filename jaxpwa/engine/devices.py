"""Which devices hold the events, and the mesh over them."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

EVENTS = "events"
"""Name of the one mesh axis."""

Devices: TypeAlias = int | Sequence[Any] | None

# A second device costs a fixed time per call: 0.13 ms for two CPU devices against the 0.0035 ms that one
# takes for 1000 events of a two-dimensional Gauss (benchmarks/device_threshold.py); GPUs are worth a
# device each only when each is busy for longer than its launch.
_EVENTS_WORTH_A_DEVICE = {"cpu": 60_000, "gpu": 2_000_000}


def select_devices(n_events: int, devices: Devices = None) -> tuple[Any, ...]:
    """Choose the devices for this many events.

    Parameters
    ----------
    n_events
        Number of events.
    devices
        None: as many of JAX's devices as the events keep busy, a power of two or all of them.
        A number: the first so many. A sequence of devices: these.

    Raises
    ------
    ValueError
        If more devices are asked for than there are, or none.
    """
    everything = jax.devices()
    if devices is None:
        per_device = _EVENTS_WORTH_A_DEVICE.get(everything[0].platform, _EVENTS_WORTH_A_DEVICE["gpu"])
        busy = max(1, n_events // per_device)
        if busy >= len(everything):
            return tuple(everything)
        return tuple(everything[: 1 << (busy.bit_length() - 1)])
    if isinstance(devices, (int, np.integer)):
        if not 1 <= devices <= len(everything):
            msg = (
                f"devices must be between 1 and {len(everything)}, the number of JAX devices here, got {devices}. "
                "Set JAXPWA_CPU_DEVICES before the import for more virtual CPU devices."
            )
            raise ValueError(msg)
        return tuple(everything[:devices])
    chosen = tuple(devices)
    if not chosen or not all(isinstance(d, jax.Device) for d in chosen) or len(set(chosen)) != len(chosen):
        msg = f"devices must be a number or different entries of jax.devices(), got {devices!r}."
        raise ValueError(msg)
    return chosen


@lru_cache(maxsize=1)
def memory_per_device() -> int:
    """Return the bytes of the smallest of JAX's devices, a cautious 4 GiB where they don't tell."""
    return min((d.memory_stats() or {}).get("bytes_limit", 4 << 30) for d in jax.local_devices())


@lru_cache(maxsize=64)
def event_mesh(devices: tuple[Any, ...]) -> Mesh:
    """Return the one-dimensional mesh over these devices."""
    return Mesh(np.array(devices), (EVENTS,))


@lru_cache(maxsize=64)
def event_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding that splits axis 0 over the mesh."""
    return NamedSharding(mesh, PartitionSpec(EVENTS))


def compiler_options(mesh: Mesh) -> dict[str, Any] | None:
    """Return XLA options for this mesh.

    512-bit vectors on CPUs that have them: XLA's default is 256 bits; exp and log of a likelihood
    take 0.87 of the time (measured on AVX-512, no effect elsewhere).
    """
    return {"xla_cpu_prefer_vector_width": 512} if mesh.devices.flat[0].platform == "cpu" else None


def over_events(mesh: Mesh, local: Callable[..., Any], n_replicated: int, n_split: int) -> Callable[..., Any]:
    """Compile a function that runs on each device: first of replicated arguments, then of split ones; results split."""
    specs = (PartitionSpec(),) * n_replicated + (PartitionSpec(EVENTS),) * n_split
    mapped = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(EVENTS), check_vma=False)
    return jax.jit(mapped, compiler_options=compiler_options(mesh))


def assemble(shards: Sequence[Any], mesh: Mesh) -> jax.Array:
    """Put one array on each device and return them as one array split along axis 0."""
    sharding = event_sharding(mesh)
    placed = [jax.device_put(s, d) for s, d in zip(shards, mesh.devices.flat, strict=True)]
    shape = (sum(len(s) for s in shards), *shards[0].shape[1:])
    return jax.make_array_from_single_device_arrays(shape, sharding, placed)


def shards_of(array: jax.Array) -> list[np.ndarray]:
    """Return each device's part of an array as host arrays, in the mesh's order."""
    if len(array.sharding.device_set) == 1:
        return [np.asarray(array)]
    # np.asarray of a sharded array costs 0.1 ms more than its parts.
    return [np.asarray(array.addressable_data(i)) for i in range(len(array.sharding.device_set))]


@lru_cache(maxsize=1)
def _host_device() -> Any:
    return jax.local_devices(backend="cpu")[0]


def home_of(array: Any) -> Any:
    """Return where an array is to be worked on: a JAX array's own device, the CPU backend for host memory."""
    return next(iter(array.devices())) if isinstance(array, jax.Array) else _host_device()


def move(array: Any, device: Any) -> jax.Array:
    """Return an array on this device; host memory that is aligned is read in place by a CPU device."""
    return jax.device_put(array, device)


def on_device(array: Any, device: Any) -> Any:
    """Return what a compiled function takes to run on this device: host memory as it is where that is the default."""
    if isinstance(array, jax.Array) or jax.devices()[0] == device:
        return array
    return move(array, device)
