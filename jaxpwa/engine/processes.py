"""What processes that compute together tell each other: small arrays, and whether one of them has failed.

All of them must ask the same questions in the same order, as they do where each runs the same script.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxpwa._processes import process_count, process_index, together
from jaxpwa.engine.blocks import split_evenly
from jaxpwa.engine.devices import assemble, event_mesh, over_events, shards_of

_TEXT = 2000
_LEAST = 256
_FEW = 64


@lru_cache(maxsize=1)
def _everybody() -> tuple[Mesh, Any]:
    """Return a mesh with one device of each process, and what hands their rows around."""
    first = {d.process_index: d for d in reversed(jax.devices())}
    mesh = event_mesh(tuple(first[p] for p in sorted(first)))
    return mesh, over_events(mesh, lambda row: row, 0, 1, rows=True, inside=True)


def exchange(array: Any) -> np.ndarray:
    """Return what each process gave, ``(processes, ...)``, numbers of one shape and type everywhere.

    They meet on one device each. Devices that compute together for the first time must do so within 30 s of each other:
    these meet when the run is initialized.

    Raises
    ------
    RuntimeError
        In all processes, if one has given something of another shape or type: it is elsewhere in its script.
    """
    array = np.asarray(array)
    if process_count() == 1:
        return array[None]
    # Bytes, since JAX may have 64-bit numbers turned off; of few lengths, since each is compiled.
    form = np.uint32(zlib.crc32(f"{array.dtype.str} {array.shape}".encode())).tobytes()
    content = form + array.tobytes()
    raw = np.zeros((1, max(_LEAST, 1 << (len(content) - 1).bit_length())), np.uint8)
    raw[0, : len(content)] = np.frombuffer(content, np.uint8)
    with together():
        mesh, hand_around = _everybody()
        rows = np.asarray(hand_around(assemble([raw] * mesh.devices.size, mesh)).addressable_data(0))
    if (rows[:, : len(form)] != rows[0, : len(form)]).any():
        msg = (
            f"the processes of this run are at different places of their scripts, this one, {process_index()} of "
            f"{process_count()}, where numbers of shape {array.shape} are exchanged. All must run the same script and "
            "make the same calls in the same order: sums, barriers, fits with checkpoint=."
        )
        raise RuntimeError(msg)
    found = np.ascontiguousarray(rows[:, len(form) : len(content)])
    return found.view(array.dtype).reshape(process_count(), *array.shape)


def rows_of(array: jax.Array | list[np.ndarray]) -> list[np.ndarray]:
    """Return the rows that `over_events` has marked as such, ``(rows, ...)`` of each device, those of all processes.

    In the order of the mesh, which sums keep: equal devices give equal sums, to the last bit. What `rows_met` has
    returned in place of an array is returned.
    """
    if isinstance(array, list):
        return array
    if not _meets_on_host(array):
        with together():
            if array.sharding.is_fully_addressable:
                return shards_of(array)
            return np.split(np.asarray(array.addressable_data(0)), len(array.sharding.device_set))
    return _rows_of_all([array])[0]


def rows_met(running: Any) -> Any:
    """Put the rows of all processes, for `rows_of`, in place of arrays that the host hands around, in one exchange.

    An exchange takes a millisecond or more, however little it carries; with one for both sums of W2 a call takes 1.3 ms
    less (two processes, two cores).

    Parameters
    ----------
    running
        Arrays as `rows_of` takes them and anything else, in lists and tuples.
    """
    if process_count() == 1:
        return running
    leaves, form = jax.tree.flatten(running, is_leaf=lambda x: not isinstance(x, (list, tuple)))
    found = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array) and _meets_on_host(leaf)]
    for i, rows in zip(found, _rows_of_all([leaves[i] for i in found]), strict=True):
        leaves[i] = rows
    return jax.tree.unflatten(form, leaves)


def _meets_on_host(array: jax.Array) -> bool:
    """Tell whether an array is split over processes."""
    return not (array.sharding.is_fully_addressable or array.sharding.is_fully_replicated)


def _rows_of_all(arrays: Sequence[jax.Array]) -> list[list[np.ndarray]]:
    """Exchange rows of several arrays of doubles that are split over all devices of all processes."""
    if not arrays:
        return []
    mesh: Mesh = arrays[0].sharding.mesh  # type: ignore[attr-defined]
    owners = [d.process_index for d in mesh.devices.flat]
    mine = [np.stack(shards_of(array)) for array in arrays]
    cuts = np.cumsum([rows[0].size for rows in mine])[:-1]
    packed = np.concatenate([rows.reshape(len(rows), -1) for rows in mine], axis=1)
    padded = np.zeros((max(owners.count(p) for p in owners), packed.shape[1]), packed.dtype)
    padded[: len(packed)] = packed
    of_devices = [row for p, rows in enumerate(exchange(padded)) for row in rows[: owners.count(p)]]
    parts = zip(*(np.split(row, cuts) for row in of_devices), strict=True)
    return [[part.reshape(rows.shape[1:]) for part in some] for some, rows in zip(parts, mine, strict=True)]


def broadcast(array: Any) -> np.ndarray:
    """Return what process 0 gave; the others give something of the same shape and type."""
    return exchange(array)[0]


def own_range(n_events: int) -> tuple[int, int]:
    """Return the first of this process's events, and the one behind its last."""
    cuts = split_evenly(n_events, process_count())
    return int(cuts[process_index()]), int(cuts[process_index() + 1])


def tell(text: str) -> list[str]:
    """Return what each process has to say, in up to 2000 bytes."""
    raw = text.encode()[:_TEXT].ljust(_TEXT, b"\0")
    rows = exchange(np.frombuffer(raw, np.uint8))
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in rows]


def meet() -> None:
    """Let processes compute something together, as `exchange` does, and, where they are few, as users' functions do."""
    exchange(np.uint8(0))
    mesh = event_mesh(tuple(jax.devices()))
    # Each of them connects with each other, which takes long where they are many; sums of CPUs don't need it.
    if mesh.devices.size > _FEW:
        return
    with together():
        jax.jit(jnp.sum)(assemble([np.ones(1)] * mesh.devices.size, mesh)).block_until_ready()


@contextmanager
def errors_shared() -> Iterator[None]:
    """Let an error of one process, in work that each does on its own, be an error of all: none waits for one that left.

    Raises
    ------
    ValueError
        In the others, with the text of the first that failed.
    """
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    raise_together(failure)


def raise_together(failure: Exception | None) -> None:
    """Raise in all processes if one of them has failed; errors as of `errors_shared`."""
    if process_count() > 1:
        texts = tell("" if failure is None else f"{type(failure).__name__}: {failure}")
        if failure is None and any(texts):
            number = next(i for i, text in enumerate(texts) if text)
            msg = f"process {number} of {process_count()} can't go on: {texts[number]}"
            raise ValueError(msg)
    if failure is not None:
        raise failure


def exchange_found(numbers: np.ndarray, failure: Exception | None) -> np.ndarray:
    """Return the numbers that each process has found, ``(processes, ...)``, or raise in all if one of them has failed.

    Errors as of `errors_shared`; what goes well takes one exchange.
    """
    flags = np.full((1, *numbers.shape[1:]), float(failure is not None))
    rows = exchange(np.concatenate([flags, numbers]))
    if rows[:, 0].any():
        raise_together(failure)
    return rows[:, 1:]
