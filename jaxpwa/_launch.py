"""Where a process stands in a run of several: what the user and the launcher say, and what to do when nobody comes."""

import operator
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
"""The environment variables that start a run by hand."""
PORT = "JAX_COORDINATOR_PORT"

# What Open MPI, MVAPICH, and MPICH and Intel MPI tell a process: how many there are, and which of them it is.
_MPI = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("PMI_SIZE", "PMI_RANK"),
)


@dataclass(frozen=True)
class Place:
    """What is known, before JAX looks for a cluster, of this process's place in the run."""

    address: str | None
    count: int | None
    index: int | None

    def __str__(self) -> str:
        told = by_mpi() or (_first_number("SLURM_NTASKS"), _first_number("SLURM_PROCID"))
        count = told[0] if self.count is None else self.count
        index = told[1] if self.index is None else self.index
        return "a process" if index is None or count is None else f"process {index} of {count}"


NOWHERE = Place(None, None, None)


def known_place(address: str | None, count: int | None, index: int | None) -> Place:
    """Complete the three from the environment and check them; to an address MPI's launchers have the numbers."""
    address = address or os.environ.get(ADDRESS) or None
    count = _number(COUNT) if count is None else count
    index = _number(INDEX) if index is None else index
    if address is not None and not isinstance(address, str):
        msg = f"coordinator_address must be a string host:port, got {address!r}."
        raise TypeError(msg)
    if address is not None:
        found = re.fullmatch(r".+:(\d{1,5})", address)
        if found is None or not 1 <= int(found[1]) <= 65535:
            msg = (
                "coordinator_address must be host:port, such as 'node07:12345', with a port from 1 to 65535, got "
                f"{address!r}."
            )
            raise ValueError(msg)
        told = by_mpi() or (None, None)
        count, index = told[0] if count is None else count, told[1] if index is None else index
    count = None if count is None else at_least_1("num_processes", count)
    index = None if index is None else _whole("process_id", index)
    if index is not None and not 0 <= index < (count or index + 1):
        msg = f"process_id must be from 0 to num_processes - 1, got {index} of {count}."
        raise ValueError(msg)
    return Place(address, count, index)


def _whole(name: str, number: Any) -> int:
    """Return an argument that must be a whole number, of Python or numpy."""
    try:
        return operator.index(number)
    except TypeError:
        msg = f"{name} must be a whole number, got {number!r}."
        raise TypeError(msg) from None


def at_least_1(name: str, number: Any) -> int:
    """Return an argument that must be a whole number above 0."""
    number = _whole(name, number)
    if number < 1:
        msg = f"{name} must be at least 1, got {number}."
        raise ValueError(msg)
    return number


def _number(variable: str) -> int | None:
    """Return the whole number in an environment variable, None where it is not set."""
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isdecimal():
        msg = f"{variable} must be a whole number, got {text!r}."
        raise ValueError(msg)
    return int(text)


def _first_number(*variables: str) -> int | None:
    """Return the number in the first of these environment variables that holds one."""
    found = (os.environ.get(v, "") for v in variables)
    return next((int(text) for text in found if text.isdecimal()), None)


def by_mpi() -> tuple[int, int] | None:
    """Return how many processes an MPI launcher has started and which of them this is, None where there is none."""
    for variables in _MPI:
        count, index = map(_first_number, variables)
        if count is not None and index is not None:
            return count, index
    return None


def started_alone() -> bool:
    """Tell whether a launcher has started this process alone.

    Raises
    ------
    ValueError
        If it has started several, and JAX can't find out where process 0 is.
    """
    told = by_mpi()
    if told is None:
        # In a shell of salloc SLURM_NTASKS is that of the job, but the shell is a step of one task.
        return "SLURM_PROCID" in os.environ and _first_number("SLURM_STEP_NUM_TASKS") == 1
    # srun may speak MPI's language; daemons of mpirun that srun has started leave their own numbers to the processes.
    by_srun = "SLURM_STEP_NODELIST" in os.environ and told == (
        _first_number("SLURM_NTASKS"),
        _first_number("SLURM_PROCID"),
    )
    if told[0] > 1 and not by_srun and "OMPI_MCA_orte_hnp_uri" not in os.environ:
        msg = (
            f"{NOWHERE} was started by an MPI launcher that does not say where process 0 is (Open MPI 5, MPICH, Intel "
            f"MPI, ...): set {ADDRESS}=host:port for all, host being the machine of process 0, or call "
            'initialize(cluster_detection_method="mpi4py"), which needs mpi4py. If each is to work on its own: '
            "initialize(num_processes=1)."
        )
        raise ValueError(msg)
    return told[0] == 1


def check_port(place: Place) -> None:
    """Refuse, in process 0, a port on which another program listens: JAX may crash on it."""
    port, advice = _own_port(place)
    if port is None or "JAX_COORDINATOR_BIND_ADDRESS" in os.environ:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except (OSError, OverflowError) as error:
            msg = f"{place} can't listen at {place.address or f'port {port}'} ({error}): {advice}"
            raise RuntimeError(msg) from error


def _own_port(place: Place) -> tuple[int | None, str]:
    """Return the port on which this process will listen, None where it is not the first; and how to have another."""
    if place.address is not None:
        advice = "choose a free port of this machine, and give each process a process_id of its own."
        return (int(place.address.rsplit(":", 1)[1]) if place.index == 0 else None), advice
    by_job = _first_number("SLURM_JOB_ID") if "SLURM_STEP_NODELIST" in os.environ else None
    # As JAX chooses it of the job's number, without its variable.
    port = _first_number(PORT) or (None if by_job is None else by_job % 4096 + 61440)
    index = (by_mpi() or (None, _first_number("SLURM_PROCID")))[1]
    return (port if index == 0 else None), f"set {PORT} to a free one for all processes."


def processes_here(place: Place) -> int:
    """Return how many processes share this machine."""
    if place.address is not None and place.address.rsplit(":", 1)[0] in ("localhost", "127.0.0.1", "[::1]"):
        return place.count or 1
    by_mpirun = _first_number("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE")
    slurm = os.environ.get("SLURM_STEP_TASKS_PER_NODE")
    if slurm and not by_mpirun:
        return slurm_tasks(slurm, _first_number("SLURM_NODEID") or 0)
    return by_mpirun or 1


def slurm_tasks(text: str, node: int) -> int:
    """Return the tasks on one node from SLURM's list, such as ``2(x3),1``: two on each of three nodes, one on a fourth.

    An unknown list counts as one task.
    """
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if found is None:
            return 1
        node -= int(found[2] or 1)
        if node < 0:
            return int(found[1])
    return 1


@contextmanager
def time_limit(seconds: float, place: Place) -> Iterator[None]:
    """End the process, saying why, unless the block ends in time; JAX waits in C++, where no exception reaches.

    Nor would Ctrl-C: here it ends the process, as it ends programs that are not Python.
    """
    timer = threading.Timer(seconds, _give_up, (seconds, place))
    timer.daemon = True
    timer.start()
    in_main = threading.current_thread() is threading.main_thread()
    at_once = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if at_once:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        timer.cancel()
        if at_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _give_up(seconds: float, place: Place) -> None:
    """Say that the others have not come, and what to look at, and end the process."""
    try:
        text = f"jaxpwa: {place} has waited {seconds:g} s for the others and gives up. {advice(place)}\n"
        sys.stderr.write(text)
        flush()
    finally:
        os._exit(1)


def advice(place: Place) -> str:
    """Return what to look at when the others don't come."""
    if place.address is None:
        return (
            "Was each process started by the launcher (srun, mpirun), and can the machines reach each other's ports? "
            f"{PORT} sets the port of process 0."
        )
    if place.index == 0:
        return (
            f"It listens at {place.address}; not all of the processes 1 to {(place.count or 2) - 1} have come. Is each "
            "of them started with this address, this num_processes and a process_id of its own, and does no firewall "
            "close the port?"
        )
    host, port = place.address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
    except (OSError, UnicodeError) as error:
        return (
            f"Process 0 does not answer at {place.address} ({error}): is it started, is this the address of its "
            "machine, and does no firewall close the port?"
        )
    return f"Process 0 answers at {place.address}, so another process has not been started or can't reach it."


def own_address(name: str) -> str:
    """Return the address to which this machine's name resolves."""
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        return f"no address ({error})"


def flush() -> None:
    """Write out what is left to write."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
