"""What runs in a worker process: parts of the events, asked for intensities over a pipe.

A worker loads neither JAX nor jaxpwa. Intensities go back through memory shared with the parent.
"""

import contextlib
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import numpy as np

from jaxpwa_compat.parts import Part, is_tensor


def limit_threads(n_threads: int) -> None:
    """Keep the libraries that compute in threads of their own to a worker's share of the cores."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[name] = str(n_threads)
    if "numexpr" in sys.modules:
        sys.modules["numexpr"].set_num_threads(n_threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)


def keep_freed_memory() -> None:
    """Let glibc keep what numpy's temporaries free, instead of asking the kernel for new pages at every call.

    Its thresholds for that rise to the size of the largest block, of up to 32 MB, that was ever freed (mallopt(3),
    M_MMAP_THRESHOLD). Half a million events of the two-dimensional Gauss take 3.2 ms with it and 10 ms without.
    """
    np.empty((32 << 20) - (1 << 16), np.uint8)


def as_rows(buffer: Any) -> np.ndarray:
    """View shared memory as float64 from its first address that is a multiple of 64."""
    raw = np.frombuffer(buffer, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + (len(raw) - 64) // 8 * 8].view(np.float64)


def _packed(error: BaseException) -> tuple[bytes | None, str]:
    """Return an exception as bytes that surely load again, or None, and its text."""
    text = "".join(traceback.format_exception(error)).rstrip()
    with contextlib.suppress(Exception):
        raw = cloudpickle.dumps(error)
        if isinstance(cloudpickle.loads(raw), type(error)):
            return raw, text
    return None, text


class Worker:
    """The parts of one process.

    Parameters
    ----------
    connection
        Requests come in, answers go out, in order.
    buffers
        Memory of each slot that all workers share: for intensities, and for slopes where a gradient may be asked for.
    number
        Number of this worker, counted from 0.
    """

    def __init__(self, connection: Connection, buffers: list[tuple[Any, Any]], number: int):
        self.connection = connection
        self.buffers: list[tuple[Any, ...]] = [
            tuple(None if b is None else as_rows(b) for b in pair) for pair in buffers
        ]
        self.number = number
        self.parts: dict[int, Part] = {}
        self.rows: dict[int, slice] = {}

    def setup(
        self, slot: int, amplitude: bytes, block: Any, start: int, n_events: int, any_shape: bool, n_threads: int
    ) -> None:
        """Unpack an amplitude and give it its block, the events from ``start`` on."""
        unpacked = cloudpickle.loads(amplitude)
        limit_threads(n_threads)
        self.parts[slot] = Part(unpacked, block, n_events, self.number, any_shape)
        self.rows[slot] = slice(start, start + n_events)

    def calculate(self, slot: int, params: Any, keep: bool) -> str:
        """Put intensities into shared memory; return why there will be no gradient, or nothing."""
        part = self.parts[slot]
        values = part.values(params, keep)
        if is_tensor(values):
            values = values.cpu().numpy()
        np.copyto(self.buffers[slot][0][self.rows[slot]], values, casting="unsafe")
        return part.why_no_gradient

    def pullback(self, slot: int) -> np.ndarray:
        """Return the gradient for the slopes that are in shared memory."""
        import torch

        return self.parts[slot].pullback(torch.from_numpy(self.buffers[slot][1][self.rows[slot]]))

    def serve(self) -> None:
        """Answer requests until the parent says None or is gone."""
        while True:
            try:
                request = self.connection.recv()
            except (EOFError, OSError):
                return
            if request is None:
                return
            name, arguments = request
            try:
                answer = "done", getattr(self, name)(*arguments)
            except Exception as error:
                answer = "error", _packed(error)
            try:
                self.connection.send(answer)
            except (BrokenPipeError, OSError):
                return


def main(connection: Connection, buffers: list[tuple[Any, Any]], number: int) -> None:
    """Run a worker; the parent alone reacts to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    Worker(connection, buffers, number).serve()
