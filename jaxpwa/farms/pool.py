"""Worker processes on this machine, each with its share of the cores."""

import os
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

import numpy as np

from jaxpwa._settings import usable_cores

_LOCK = threading.Lock()
# Threads of numpy's BLAS, and of XLA's own pool.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PJRT_NPROC")


def process_pool(n: int | None = None, *, threads: int = 1) -> ProcessPoolExecutor:
    """Return a pool of processes for `farm`, `fit_many`, `fit_bins` and `bootstrap`.

    Processes are started anew, not forked (JAX has threads, which a fork would leave in pieces), when the first tasks
    come: each takes some seconds to load JAX, and compiles for itself (``JAXPWA_COMPILATION_CACHE`` shares that). The
    user's script is not run again in them, so scripts need no ``if __name__ == "__main__"``. They compute on CPUs.

    Parameters
    ----------
    n
        How many processes. None: as many as there are cores for ``threads`` each.
    threads
        Cores of each: JAX has so many CPU devices there, and numpy's linear algebra so many threads.

    Returns
    -------
    concurrent.futures.ProcessPoolExecutor
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
    return ProcessPoolExecutor(int(n), mp_context=_Context(environment))


def _check_number(number: Any, what: str) -> None:
    """Refuse what is no number of things."""
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 1:
        msg = f"{what} must be a whole number, at least 1, got {number!r}."
        raise ValueError(msg)


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
