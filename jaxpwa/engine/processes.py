"""What processes that compute together tell each other: small arrays, and whether one of them has failed.

All of them must ask the same questions in the same order, as they do where each runs the same script.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

import jax
from jax.sharding import Mesh

from jaxpwa._processes import process_count, process_index, together
from jaxpwa.engine.devices import assemble, event_mesh, over_events, shards_of

_TEXT = 2000
_LEAST = 256


@lru_cache(maxsize=1)
def _everybody() -> tuple[Mesh, Any, list[int]]:
    """Return the mesh of all devices, what hands rows around, and the first device of each process."""
    mesh = event_mesh(tuple(jax.devices()))
    owners = [d.process_index for d in mesh.devices.flat]
    return mesh, over_events(mesh, lambda row: row, 0, 1, rows=True), [owners.index(p) for p in range(process_count())]


def exchange(array: Any) -> np.ndarray:
    """Return what each process gave, ``(processes, ...)``, numbers of one shape and type everywhere.

    All meet on the devices of all of them, as they do for sums: devices that compute together for the first time must
    do so within 30 s of each other, and these have met when the run was initialized.
    """
    array = np.asarray(array)
    if process_count() == 1:
        return array[None]
    # Bytes, since JAX may have 64-bit numbers turned off; of few lengths, since each is compiled.
    content = array.tobytes()
    raw = np.zeros((1, max(_LEAST, 1 << (len(content) - 1).bit_length())), np.uint8)
    raw[0, : len(content)] = np.frombuffer(content, np.uint8)
    with together():
        mesh, hand_around, first = _everybody()
        rows = shards_of(hand_around(assemble([raw] * mesh.devices.size, mesh)))
    found = b"".join(rows[i][0, : len(content)].tobytes() for i in first)
    return np.frombuffer(found, array.dtype).reshape(process_count(), *array.shape)


def broadcast(array: Any) -> np.ndarray:
    """Return what process 0 gave; the others give something of the same shape and type."""
    return exchange(array)[0]


def own_range(n_events: int) -> tuple[int, int]:
    """Return the first of this process's events, and the one behind its last."""
    size, extra = divmod(n_events, process_count())
    start = process_index() * size + min(process_index(), extra)
    return start, start + size + (process_index() < extra)


def ranges(n_events: int) -> np.ndarray:
    """Return where each process's events begin, and their number at the end, ``(processes + 1,)``."""
    size, extra = divmod(n_events, process_count())
    sizes = [size + (i < extra) for i in range(process_count())]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def tell(text: str) -> list[str]:
    """Return what each process has to say, in up to 2000 bytes."""
    raw = text.encode()[:_TEXT].ljust(_TEXT, b"\0")
    rows = exchange(np.frombuffer(raw, np.uint8))
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in rows]


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
    if process_count() > 1:
        texts = tell("" if failure is None else f"{type(failure).__name__}: {failure}" or "error")
        if failure is None and any(texts):
            number = next(i for i, text in enumerate(texts) if text)
            msg = f"process {number} of {process_count()} can't go on: {texts[number]}"
            raise ValueError(msg)
    if failure is not None:
        raise failure
