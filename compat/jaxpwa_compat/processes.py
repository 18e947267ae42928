"""Worker processes of one likelihood, seen from the parent.

Processes come from a fork server, or are spawned where there is none: forking a process in which JAX's threads run
can deadlock. The user's main script is not run again in them, so scripts without a guard and notebooks work:
classes defined there travel by value.
"""

import io
import multiprocessing
import sys
import threading
import types
import weakref
from collections.abc import Sequence
from multiprocessing import connection as mp_connection
from typing import Any, NoReturn

import cloudpickle
import numpy as np

from jaxpwa_compat import workers
from jaxpwa_compat.parts import name_of

_LOCK = threading.Lock()
# Loaded once by the fork server, where the parent has them, and not in every worker.
_PRELOAD = ("numexpr", "pandas", "scipy.special")
_PATIENCE = 5.0


class WorkerError(RuntimeError):
    """A worker process ended, or what it raised can't be brought over."""


def _context(torch: bool) -> Any:
    """Return how processes are started; torch takes seconds to load, so only where it will be used."""
    known = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in known else "spawn")
    if context.get_start_method() == "forkserver":
        preload = (*_PRELOAD, "torch") if torch else _PRELOAD
        context.set_forkserver_preload(["jaxpwa_compat.workers", *(n for n in preload if n in sys.modules)])
    return context


def _start(processes: Sequence[Any]) -> None:
    """Start processes without having them run the user's main script."""
    with _LOCK:
        real = sys.modules["__main__"]
        # multiprocessing tells a child which script to run first by looking at this module.
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            for process in processes:
                process.start()
        finally:
            sys.modules["__main__"] = real


class _Pickler(cloudpickle.Pickler):
    """Pickle functions of scipy.special by their names: those that choose among several ufuncs can't be by value."""

    def reducer_override(self, obj: Any) -> Any:
        special = sys.modules.get("scipy.special")
        if special is not None and callable(obj) and type(obj).__module__.split(".")[0] in ("numpy", "scipy"):
            name = next((n for n, thing in vars(special).items() if thing is obj), None)
            if name is not None:
                return getattr, (special, name)
        return super().reducer_override(obj)


def _dumps(thing: Any) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file).dump(thing)
        return file.getvalue()


def pack_amplitude(amplitude: Any) -> bytes:
    """Pickle an amplitude by value where its class is of the main script.

    Raises
    ------
    TypeError
        If it can't be: the message names the attribute.
    """
    try:
        return _dumps(amplitude)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        for name, value in vars(amplitude).items() if hasattr(amplitude, "__dict__") else ():
            try:
                _dumps(value)
            except Exception:  # whatever an object says that can't be pickled
                reason += f" (attribute {name!r})"
                break
        msg = (
            f"{name_of(amplitude)} can't be sent to worker processes: {reason}. Make it in setup, or set "
            "USE_MP = False on the class."
        )
        raise TypeError(msg) from error


def _shut_down(processes: Sequence[Any], connections: Sequence[Any]) -> None:
    """End all workers, kindly first."""
    for pipe in connections:
        try:
            pipe.send(None)
        except (OSError, ValueError):
            continue
    for process in processes:
        process.join(_PATIENCE if process.is_alive() else 0)
    for process in processes:
        if process.is_alive():
            process.terminate()
            process.join(_PATIENCE)
    for pipe in connections:
        pipe.close()


class WorkerGroup:
    """Processes that each hold a block of every slot (data, Monte Carlo).

    Parameters
    ----------
    slots
        For each slot the pickled amplitude, the blocks, their sizes, the rows of the buffer that they share and what it
        is filled with, whether a gradient may be asked for, and whether any shape will do. There are as many workers
        as blocks; an empty block is left out.

    Raises
    ------
    WorkerError
        If a worker ends, naming it.
    Exception
        What `setup` raises, with its own type.
    """

    def __init__(self, slots: Sequence[tuple[bytes, list[Any], tuple[int, ...], int, float, bool, bool]]):
        context = _context(any(gradient for *_, gradient, _ in slots))
        self.n_workers = len(slots[0][1])
        self.sizes = [slot[2] for slot in slots]
        shared = [
            tuple(context.RawArray("b", 8 * rows + 64) if wanted else None for wanted in (True, gradient))
            for _, _, _, rows, _, gradient, _ in slots
        ]
        pipes = [context.Pipe() for _ in range(self.n_workers)]
        self._connections = [parent for parent, _ in pipes]
        self._processes = [
            context.Process(target=workers.main, args=(child, shared, i), name=f"jaxpwa worker {i}", daemon=True)
            for i, (_, child) in enumerate(pipes)
        ]
        _start(self._processes)
        for _, child in pipes:
            child.close()
        self._closer = weakref.finalize(self, _shut_down, self._processes, self._connections)
        self._sent, self._read = [0] * self.n_workers, [0] * self.n_workers
        self._early: list[dict[int, Any]] = [{} for _ in range(self.n_workers)]
        self.buffers = [tuple(None if b is None else workers.as_rows(b) for b in pair) for pair in shared]
        for (intensities, _), slot in zip(self.buffers, slots, strict=True):
            if intensities is not None:
                intensities.fill(slot[4])
        n_threads = max(1, (multiprocessing.cpu_count()) // self.n_workers)
        self.doing = "setting up"
        for slot, (amplitude, blocks, sizes, _, _, _, any_shape) in enumerate(slots):
            busy = [i for i in range(self.n_workers) if sizes[i]]
            tickets = {
                i: self._send(i, "setup", slot, amplitude, blocks[i], sum(sizes[:i]), sizes[i], any_shape, n_threads)
                for i in busy
            }
            for i, ticket in tickets.items():
                self._receive(i, ticket)

    @property
    def is_open(self) -> bool:
        """Whether the workers are there."""
        return self._closer.alive

    def close(self) -> None:
        """End the workers; nothing happens the second time."""
        self._closer()

    def ask(self, name: str, slot: int, *arguments: Any) -> dict[int, int]:
        """Send the same request to all workers that have events of this slot; return what `answers` needs."""
        if not self.is_open:
            msg = "this likelihood is closed: its worker processes have ended. Build it anew."
            raise RuntimeError(msg)
        self.doing = {"calculate": "calculating", "pullback": "computing the gradient"}[name]
        busy = [i for i in range(self.n_workers) if self.sizes[slot][i]]
        return {i: self._send(i, name, slot, *arguments) for i in busy}

    def answers(self, tickets: dict[int, int]) -> list[Any]:
        """Wait for the answers to a request, in the order of the events."""
        return [self._receive(i, ticket) for i, ticket in tickets.items()]

    def _send(self, worker: int, name: str, *arguments: Any) -> int:
        """Send a request and return its number: a worker answers in the order of requests."""
        try:
            self._connections[worker].send((name, arguments))
            self._sent[worker] += 1
            return self._sent[worker]
        except (BrokenPipeError, ConnectionResetError):
            self._died(worker)
        except BaseException:
            self.close()
            raise

    def _receive(self, worker: int, ticket: int) -> Any:
        """Wait for a worker's answer to this request; answers to earlier ones are kept."""
        early = self._early[worker]
        while ticket not in early:
            answer = self._next_answer(worker)
            self._read[worker] += 1
            early[self._read[worker]] = answer
        return early.pop(ticket)

    def _next_answer(self, worker: int) -> Any:
        """Wait for a worker's next answer, or its end."""
        pipe, process = self._connections[worker], self._processes[worker]
        try:
            mp_connection.wait([pipe, process.sentinel])
            kind, answer = pipe.recv()
        except (EOFError, ConnectionResetError):
            self._died(worker)
        except BaseException:
            self.close()
            raise
        if kind == "done":
            return answer
        self.close()
        raw, text = answer
        if raw is None:
            msg = f"worker {worker} of {self.n_workers} raised what can't be pickled:\n{text}"
            raise WorkerError(msg)
        error = cloudpickle.loads(raw)
        error.add_note(f"raised in worker {worker} of {self.n_workers}:\n{text}")
        raise error

    def _died(self, worker: int) -> NoReturn:
        process = self._processes[worker]
        process.join(_PATIENCE)
        starts = [int(np.sum(sizes[:worker])) for sizes in self.sizes]
        events = f"events {starts[0]} to {starts[0] + self.sizes[0][worker] - 1}"
        msg = (
            f"worker {worker} of {self.n_workers} ({events}) ended while {self.doing}, exit status {process.exitcode}. "
            "Set DEBUG = True on the class to run it in this process and see why."
        )
        self.close()
        raise WorkerError(msg)
