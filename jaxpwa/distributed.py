"""Several processes, on one machine or on many, that work as one run on JAX's own distributed runtime.

Every process runs the same script, which calls `initialize` before anything else that computes. From then on JAX's
devices are those of all processes, a sum over events is taken over all of them, and every process gets the same
result, so that all take the same steps. What processes compute together, all must call, in the same order.

==================  ==========================================================================================
started by          command
==================  ==========================================================================================
SLURM               ``srun python fit.py``
Open MPI 4          ``mpirun python fit.py``
Open MPI 5          ``mpirun -x JAX_COORDINATOR_ADDRESS=host:port python fit.py``
MPICH, Intel MPI    ``mpiexec -genv JAX_COORDINATOR_ADDRESS host:port python fit.py``
any MPI             ``mpiexec python fit.py``, ``initialize(cluster_detection_method="mpi4py")``, needs mpi4py
hand                ``JAX_COORDINATOR_ADDRESS=host:port JAX_NUM_PROCESSES=2 JAX_PROCESS_ID=0 python fit.py``,
                    and the same with ``JAX_PROCESS_ID=1``
nobody              ``python fit.py``: one process, on this machine's devices, with the same script
==================  ==========================================================================================

``host`` is the machine of process 0, ``port`` a free one there.

Process 0 alone shows progress, warns and writes files; other processes may go on before a file is there, so call
`barrier` before they read it. Print under ``if jp.distributed.is_main():``.

**When a process ends early**, all end, with a status that is not 0:

- One that ends with an error prints it and leaves at once. Others that wait for it in a sum raise ``RuntimeError``;
  if it was process 0, JAX ends them at once ("Terminating process because the JAX distributed service ...").
- One that is killed, or whose machine is lost, is noticed in the same way by those that wait for it, and by JAX,
  which ends all others after ``heartbeat_timeout_seconds`` at the latest. The same goes for one that hangs.
- One that calls ``sys.exit`` while others still compute waits for them at its end, for at most
  ``shutdown_timeout_seconds`` (JAX's default: 300), after which JAX ends all: raise an error instead. Where process 0
  alone has longer work than that at the end of a script, give more.
"""

import atexit
import os
import socket
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import jax

from jaxpwa import _processes
from jaxpwa._checks import JaxpwaWarning
from jaxpwa._launch import (
    ADDRESS,
    COUNT,
    INDEX,
    NOWHERE,
    PORT,
    Place,
    at_least_1,
    check_port,
    flush,
    known_place,
    own_address,
    processes_here,
    started_alone,
    time_limit,
)
from jaxpwa._processes import is_main as is_main
from jaxpwa._processes import process_count as process_count
from jaxpwa._processes import process_index as process_index
from jaxpwa._settings import share_cores
from jaxpwa.engine.processes import exchange, meet

# JAX aborts the process when its own time is up, with a text about another task that died; ours comes first.
_JAX_WAITS_LONGER = 60
_alone: list[bool] = []


def initialize(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    initialization_timeout: int = 300,
    heartbeat_timeout_seconds: int = 60,
    processes_per_machine: int | None = None,
    **options: Any,
) -> None:
    """Make this process one of several that work as one run.

    A thin layer over ``jax.distributed.initialize``, with its keywords and its detection of clusters: under SLURM,
    Open MPI 4, Kubernetes and on TPU pods no argument is needed; under other MPI launchers the address alone. Without
    arguments, environment variables or a cluster, and where a launcher has started one process, it works alone and the
    script runs as it would without this call.

    Call it right after the imports. It connects all devices, divides this machine's cores among the processes that
    share it, and keeps jaxpwa's warnings to process 0 (a warnings filter in the others).

    Parameters
    ----------
    coordinator_address
        ``host:port`` of process 0, reachable from all machines, with a port that is free there; or
        ``JAX_COORDINATOR_ADDRESS``.
    num_processes
        How many processes there are; or ``JAX_NUM_PROCESSES``.
    process_id
        Which of them this is, from 0; or ``JAX_PROCESS_ID``.
    initialization_timeout
        Seconds to wait until all processes are there. When they are over this process says so and ends with status 1.
    heartbeat_timeout_seconds
        Seconds without a sign of life after which a process counts as dead and JAX ends all others.
    processes_per_machine
        How many processes share this machine's cores. None: what the launcher says; all of them where
        ``coordinator_address`` is this machine's loopback (``localhost``, ``127.0.0.1``); else 1. Without effect
        where the number of CPU devices was chosen by the user (``JAXPWA_CPU_DEVICES``, ``JAX_NUM_CPU_DEVICES``).
    options
        More keywords of ``jax.distributed.initialize``: ``local_device_ids``, ``cluster_detection_method``,
        ``coordinator_bind_address``, ``shutdown_timeout_seconds`` (JAX 0.8.0 does not have it yet).

    Raises
    ------
    RuntimeError
        If JAX has computed already, if the run was initialized before, if process 0 can't listen on its port, if
        ``num_processes`` is another one in process 0, or if another process ends during the start.
    ValueError
        If only some of the three are known, they don't fit together, or a number is too small; if an MPI launcher has
        started several processes and nothing says where the first is.
    TypeError
        If the numbers are no whole numbers, or the address is no string.

    Notes
    -----
    A script that runs on one machine and on many::

        import jaxpwa as jp

        jp.distributed.initialize()
        data = jp.Dataset.from_files("data/*.parquet")
        result = jp.fit(jp.UnbinnedNLL(intensity, data), start)
        result.save("fit.json")  # process 0 writes
        if jp.distributed.is_main():
            print(result)

    On CPUs JAX's processes talk through gloo. Each listens on a port of its own choice at the address to which its
    machine's own host name resolves: where that is 127.0.0.1 other machines can't reach it.
    """
    place = known_place(coordinator_address, num_processes, process_id)
    patience = at_least_1("initialization_timeout", initialization_timeout)
    heartbeat = at_least_1("heartbeat_timeout_seconds", heartbeat_timeout_seconds)
    if processes_per_machine is not None:
        processes_per_machine = at_least_1("processes_per_machine", processes_per_machine)
    if _processes.is_distributed():
        msg = "jp.distributed.initialize() was called before: call it once, at the start of the script."
        raise RuntimeError(msg)
    if place == Place(None, 1, place.index):
        return
    if place == NOWHERE and "cluster_detection_method" not in options and (_alone or started_alone()):
        return
    if "coordinator_bind_address" not in options:
        check_port(place)
    options |= {"initialization_timeout": patience + _JAX_WAITS_LONGER, "heartbeat_timeout_seconds": heartbeat}
    with time_limit(patience, place):
        if not _start_jax(place, **options):
            _alone.append(True)
            return
        _end_on_error(place)
        share_cores(processes_per_machine or processes_here(place))
        with _silent_output():
            _connect()
    if place.count not in (None, process_count()):
        msg = f"num_processes is {place.count} here and {process_count()} in process 0: give all the same."
        raise RuntimeError(msg)
    if not is_main():
        warnings.filterwarnings("ignore", category=JaxpwaWarning)


def barrier(name: str = "barrier") -> None:
    """Wait until all processes have come here; return at once where there is only one.

    Parameters
    ----------
    name
        The same in all processes: tells one barrier from another when processes take different ways.

    Raises
    ------
    TypeError
        If the name is no string.
    RuntimeError
        If another process is gone, or waits at a barrier of another name.
    """
    if not isinstance(name, str):
        msg = f"the name of a barrier must be a string, got {name!r}."
        raise TypeError(msg)
    if process_count() == 1:
        return
    if len(set(exchange(np.uint32(zlib.crc32(name.encode()))).tolist())) > 1:
        msg = (
            f"process {process_index()} of {process_count()} waits at barrier {name!r}, another one at a barrier of "
            "another name: all processes must take the same steps."
        )
        raise RuntimeError(msg)


def _start_jax(place: Place, **options: Any) -> bool:
    """Start JAX's distributed runtime; tell whether there is anything to start."""
    # JAX would catch SIGTERM, to tell all processes of it, and a process that is told to end would go on.
    if hasattr(jax.config, "jax_enable_preemption_service"):
        jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(place.address, place.count, place.index, **options)
    except ValueError as error:
        method = options.get("cluster_detection_method")
        if "coordinator_address" in str(error) and place == NOWHERE and method in (None, "deactivate"):
            return False
        if "defined" not in str(error):
            raise
        msg = (
            f"no cluster ({method or 'SLURM, Open MPI 4, ...'}) was found, so all three must be given: {ADDRESS} or "
            f"coordinator_address is {place.address}, {COUNT} or num_processes is {place.count}, {INDEX} or "
            f"process_id is {place.index}."
        )
        raise ValueError(msg) from error
    except RuntimeError as error:
        if "before any JAX" in str(error):
            msg = (
                "JAX has computed already, so its devices are settled: call jp.distributed.initialize() right after "
                "the imports, before anything that makes an array or asks for devices."
            )
            raise RuntimeError(msg) from error
        if "start RPC server" in str(error):
            msg = (
                f"{place} can't listen at its port, which another program or run on this machine uses: set {PORT} to a "
                f"free one for all processes. JAX says: {error}"
            )
            raise RuntimeError(msg) from error
        raise
    return True


def _connect() -> None:
    """Let the devices of all processes meet.

    Gloo gives up when not all reach their first common computation within 30 s, a limit that JAX offers no way to
    change; later ones may come apart by far more.
    """
    try:
        meet()
    except (ValueError, RuntimeError) as error:
        if _processes.lost_process(error) is None:
            raise
        name = socket.gethostname()
        msg = (
            "the processes have met but can't connect to each other. Has one of them ended? Can the machines reach "
            "each other at the addresses to which their own host names resolve? "
            f"This one is {name!r} at {own_address(name)}. JAX says: {error}"
        )
        raise RuntimeError(msg) from error


@contextmanager
def _silent_output() -> Iterator[None]:
    """Keep from standard output what gloo writes there from C++ on connecting."""
    flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _end_on_error(place: Place) -> None:
    """See to it that a process with an error ends at once; JAX would wait for the others, which wait for this one."""
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        _processes.note_failure(130 if issubclass(kind, KeyboardInterrupt) else 1)
        shown(kind, error, trace)
        sys.stderr.write(f"jaxpwa: {place} ends with this error.\n")

    sys.excepthook = show
    atexit.register(_leave)


def _leave() -> None:
    """End without waiting for the others where something has failed."""
    status = _processes.failure()
    if status is not None:
        flush()
        os._exit(status)
