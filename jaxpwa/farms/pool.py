"""Worker processes on this machine, each with its share of the cores."""

import os
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from queue import SimpleQueue
from typing import Any

import numpy as np

from jaxpwa._settings import usable_cores

_LOCK = threading.Lock()
# Threads of numpy's BLAS, and of XLA's own pool.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PJRT_NPROC")


def process_pool(n: int | None = None, *, threads: int = 1) -> Executor:
    """Return a pool of processes for `farm`, `fit_many`, `fit_bins` and `bootstrap`.

    Processes are started anew, not forked (JAX has threads, which a fork would leave in pieces), when the first tasks
    come: each takes some seconds to load JAX, and compiles for itself (``JAXPWA_COMPILATION_CACHE`` shares that). The
    user's script is not run again in them, so scripts need no ``if __name__ == "__main__"``. They compute on CPUs.

    A process that ends (killed, out of memory, a fault in compiled code) takes the one task with it that it worked on:
    that fails with ``BrokenProcessPool``, and a new process takes its place.

    Parameters
    ----------
    n
        How many processes. None: as many as there are cores for ``threads`` each.
    threads
        Cores of each: JAX has so many CPU devices there, and numpy's linear algebra so many threads.

    Returns
    -------
    concurrent.futures.Executor
        Use it in a ``with`` block, which ends the processes.

    Raises
    ------
    ValueError
        If a number is not a whole one, at least 1.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> with jp.process_pool(1) as pool:
    ...     jp.farm(lambda x: x**2, [1, 2, 3], pool).results
    {0: 1, 1: 4, 2: 9}
    """
    _check_number(threads, "threads")
    if n is None:
        n = max(1, usable_cores() // threads)
    _check_number(n, "n")
    environment = dict.fromkeys(_THREADS, str(threads)) | {"JAXPWA_CPU_DEVICES": str(threads), "JAX_PLATFORMS": "cpu"}
    return _Pool(int(n), _Context(environment))


def _check_number(number: Any, what: str) -> None:
    """Refuse what is no number of things."""
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 1:
        msg = f"{what} must be a whole number, at least 1, got {number!r}."
        raise ValueError(msg)


class _Pool(Executor):
    """Processes that each do one task at a time, so that one that ends is known to have ended with that task."""

    def __init__(self, n: int, context: "_Context"):
        self._max_workers = n
        self._context = context
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="jaxpwa process")
        self._lock = threading.Lock()
        self._is_open = True
        self._started: list[ProcessPoolExecutor] = []
        self._idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        with self._lock:
            if not self._is_open:
                msg = "the pool is shut down: its with block has ended. Make another one."
                raise RuntimeError(msg)
            if len(self._started) < self._max_workers:
                # Here and not in the thread: while a process is started, variables of the environment are its own.
                self._idle.put(self._start())
        return self._threads.submit(self._in_process, fn, args, kwargs)

    def _start(self) -> ProcessPoolExecutor:
        process = ProcessPoolExecutor(1, mp_context=self._context)
        process.submit(int)
        self._started.append(process)
        return process

    def _in_process(self, fn: Callable, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """Run a task in the first process that is free."""
        process = self._idle.get()
        try:
            try:
                future = process.submit(fn, *args, **kwargs)
            except BrokenProcessPool:  # it ended without a task, by an interrupt from the keyboard for instance
                process = self._instead(process)
                future = process.submit(fn, *args, **kwargs)
            try:
                return future.result()
            except BrokenProcessPool:
                process = self._instead(process)
                raise
        finally:
            self._idle.put(process)

    def _instead(self, ended: ProcessPoolExecutor) -> ProcessPoolExecutor:
        """Start a process in place of one that ended."""
        with self._lock:
            process = self._start()
            self._started.remove(ended)
        ended.shutdown(wait=False)
        return process

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._is_open = False
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        if wait:  # else tasks go on, and processes end with the last reference to this object
            with self._lock:
                for process in self._started:
                    process.shutdown()


class _Process(SpawnProcess):
    """A process with an environment of its own, in which the user's main script is not run again."""

    environment: Mapping[str, str] = {}

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _LOCK, _no_main(), _environment(process_obj.environment):
            return SpawnProcess._Popen(process_obj)  # type: ignore[attr-defined]


class _Context(SpawnContext):
    """How the processes of a pool are started."""

    def __init__(self, environment: Mapping[str, str]):
        super().__init__()
        self.environment = environment

    def Process(self, *args: Any, **keywords: Any) -> _Process:  # type: ignore[override]
        process = _Process(*args, **keywords)
        process.environment = self.environment
        return process


@contextmanager
def _no_main() -> Iterator[None]:
    """Hide the main module, by which multiprocessing tells a child what script to run first."""
    real = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = real


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a process that is started within: they are read when it imports its libraries."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
