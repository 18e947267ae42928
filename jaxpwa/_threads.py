"""Threads: one for BLAS while small matrices are worked on, one per core for compilation.

L-BFGS-B and eigenvalues of Hessians call BLAS for matrices of some tens of rows. Two threads have nothing to share
there, and on a machine with other work they wait for each other: fits took 1.3 to 5.5 times as long
(``python -m benchmarks.results``, two cores, load 4).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

from jaxpwa._processes import process_count
from jaxpwa._settings import usable_cores

_lock = Lock()
_inside: list[Any] = []


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Find the BLAS libraries of this process, which takes some 30 ms."""
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread within; JAX has threads of its own, which this leaves alone."""
    # The number is one of the process: fits in several threads set it once, and the last to end gives it back.
    with _lock:
        limit = None if _inside else _controller().limit(limits=1, user_api="blas")
        _inside.append(limit)
    try:
        yield
    finally:
        with _lock:
            if len(_inside) == 1:
                _inside[0].restore_original_limits()
            del _inside[-1]


def run_side_by_side(tasks: Sequence[Callable[[], object]]) -> None:
    """Run tasks in threads, one per core, where there are several.

    Not in a run of several processes, which must start what they compute together in one order.
    """
    if len(tasks) > 1 and process_count() == 1:
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(lambda task: task(), tasks))
