"""Which devices hold the events, and the mesh over them."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

import jax
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxpwa._processes import process_count, process_index

EVENTS = "events"
"""Name of the one mesh axis."""

Devices: TypeAlias = int | Sequence[Any] | None

# A second device costs a fixed time per call: 0.13 ms for two CPU devices against the 0.0035 ms that one
# takes for 1000 events of a two-dimensional Gauss (benchmarks/device_threshold.py); GPUs are worth a
# device each only when each is busy for longer than its launch.
_EVENTS_WORTH_A_DEVICE = {"cpu": 60_000, "gpu": 2_000_000}
# A sum over the devices of several processes waits for the slowest and for the network (docs/scaling.md): the events
# that each of them must have to do.
_EVENTS_WORTH_A_PROCESS = {"cpu": 250_000, "gpu": 2_000_000}


def select_devices(n_events: int, devices: Devices = None, *, local: bool = False) -> tuple[Any, ...]:
    """Choose the devices for this many events.

    Parameters
    ----------
    n_events
        Number of events.
    devices
        None: as many of JAX's devices as the events keep busy, a power of two or all of them; where several processes
        take part, all devices of all of them, or some of this process's own, which then all do the same.
        A number: the first so many of this process. A sequence of devices: these.
    local
        Never choose devices of other processes by itself.

    Raises
    ------
    ValueError
        If more devices are asked for than there are, or none, or some of another process without all others.
    """
    own = jax.local_devices()
    if devices is None:
        platform = own[0].platform if own[0].platform in _EVENTS_WORTH_A_DEVICE else "gpu"
        if not local and process_count() > 1 and n_events >= _EVENTS_WORTH_A_PROCESS[platform] * process_count():
            return tuple(jax.devices())
        busy = max(1, n_events // _EVENTS_WORTH_A_DEVICE[platform])
        return tuple(own if busy >= len(own) else own[: 1 << (busy.bit_length() - 1)])
    if isinstance(devices, (int, np.integer)):
        if not 1 <= devices <= len(own):
            msg = (
                f"devices must be between 1 and {len(own)}, the number of JAX devices here, got {devices}. "
                "Set JAXPWA_CPU_DEVICES before the import for more virtual CPU devices."
            )
            raise ValueError(msg)
        return tuple(own[:devices])
    chosen = tuple(devices) if isinstance(devices, Iterable) else ()
    if not chosen or not all(isinstance(d, jax.Device) for d in chosen) or len(set(chosen)) != len(chosen):
        msg = f"devices must be a number or different entries of jax.devices(), got {devices!r}."
        raise ValueError(msg)
    owners = {d.process_index for d in chosen}
    # Others meet for the first time, for which JAX gives them 30 s.
    if owners != {process_index()} and (local or chosen != tuple(jax.devices())):
        msg = (
            f"devices must be this process's own (jax.local_devices()) or all (jax.devices()) in a run of several "
            f"processes, got {len(chosen)} of processes {sorted(owners)} in process {process_index()}."
        )
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
def is_shared(mesh: Mesh) -> bool:
    """Tell whether a mesh spans several processes."""
    return len({d.process_index for d in mesh.devices.flat}) > 1


def meets_inside(mesh: Mesh) -> bool:
    """Tell whether compiled code hands rows from process to process, rather than the host (see `over_events`).

    On CPUs the host does: there each device would be a member of gloo's ring, whose time grows with their number, code
    with collectives runs slower (W2 on two processes: a value 16 ms against 10), and what was started and is not waited
    for can hold the threads that others need to end.
    """
    return is_shared(mesh) and mesh.devices.flat[0].platform != "cpu"


def own_positions(mesh: Mesh) -> list[int]:
    """Return where in the mesh this process's devices are."""
    if not is_shared(mesh):
        return list(range(mesh.devices.size))
    return [i for i, d in enumerate(mesh.devices.flat) if d.process_index == process_index()]


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


def over_events(
    mesh: Mesh,
    local: Callable[..., Any],
    n_replicated: int,
    n_split: int,
    *,
    rows: bool | tuple[bool, ...] = False,
    inside: bool | None = None,
) -> Callable[..., Any]:
    """Compile a function that runs on each device, of replicated arguments first, then of split ones.

    Parameters
    ----------
    mesh
        The devices.
    local
        What each of them does.
    n_replicated, n_split
        How many arguments all devices get, and how many are split among them along axis 0.
    rows
        Whether a result, or each of several, is rows that every process is to know, by `processes.rows_of`: sums, in
        short. Others stay split as the events are.
    inside
        Whether compiled code hands rows around; None: as `meets_inside` says.
    """
    specs = (PartitionSpec(),) * n_replicated + (PartitionSpec(EVENTS),) * n_split
    out: Any = PartitionSpec(EVENTS)
    function = local
    if rows and (meets_inside(mesh) if inside is None else inside):
        out = PartitionSpec() if rows is True else tuple(PartitionSpec() if r else PartitionSpec(EVENTS) for r in rows)

        def function(*args: Any) -> Any:
            results = local(*args)
            if rows is True:
                return lax.all_gather(results, EVENTS, tiled=True)
            pairs = zip(results, rows, strict=True)
            return tuple(lax.all_gather(x, EVENTS, tiled=True) if r else x for x, r in pairs)

    mapped = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False)
    return jax.jit(mapped, compiler_options=compiler_options(mesh))


def assemble(shards: Sequence[Any], mesh: Mesh) -> jax.Array:
    """Put one array on each device and return them as one array split along axis 0.

    Where the mesh spans processes, each places those of its own devices; all are equally long, and others may be None.
    """
    return assemble_all([shards], mesh)[0]


def assemble_all(arrays: Sequence[Sequence[Any]], mesh: Mesh) -> list[jax.Array]:
    """Assemble several arrays, each from one part per device, in one call of JAX: half the time of one for each."""
    own, devices = own_positions(mesh), mesh.devices.flat
    parts = [shards[i] for shards in arrays for i in own]
    placed = jax.device_put(parts, [devices[i] for i in own] * len(arrays))
    found = []
    for k, shards in enumerate(arrays):
        mine = [shards[i] for i in own]
        length = len(mine[0]) * mesh.devices.size if is_shared(mesh) else sum(len(part) for part in mine)
        some = placed[k * len(own) : (k + 1) * len(own)]
        shape = (length, *mine[0].shape[1:])
        found.append(jax.make_array_from_single_device_arrays(shape, event_sharding(mesh), some))
    return found


def shards_of(array: jax.Array) -> list[np.ndarray]:
    """Return each device's part of an array as host arrays, in the mesh's order.

    Of what is split over several processes, this one's own parts.
    """
    sharding = array.sharding
    if len(sharding.device_set) == 1:
        return [np.asarray(array)]
    if not sharding.is_fully_addressable:
        return [np.asarray(shard.data) for shard in array.addressable_shards]
    # np.asarray of a sharded array costs 0.1 ms more than its parts.
    return [np.asarray(array.addressable_data(i)) for i in range(len(sharding.device_set))]


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
    if isinstance(array, jax.Array) or jax.local_devices()[0] == device:
        return array
    return move(array, device)
