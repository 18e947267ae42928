"""Where a process stands in a run of several: what the user and the launcher say, and what to do when nobody comes."""

import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
"""The environment variables that start a run by hand."""


@dataclass(frozen=True)
class Place:
    """What is known, before JAX looks for a cluster, of this process's place in the run."""

    address: str | None
    count: int | None
    index: int | None

    def __str__(self) -> str:
        index = self.index if self.index is not None else _first_number("SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
        count = self.count if self.count is not None else _first_number("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")
        return "a process" if index is None or count is None else f"process {index} of {count}"


def known_place(address: str | None, count: int | None, index: int | None) -> Place:
    """Complete the three from the environment and check them."""
    address = address or os.environ.get(ADDRESS) or None
    count = _number(COUNT) if count is None else count
    index = _number(INDEX) if index is None else index
    if address is not None and not isinstance(address, str):
        msg = f"coordinator_address must be a string host:port, got {address!r}."
        raise TypeError(msg)
    if address is not None and not re.fullmatch(r".+:\d+", address):
        msg = f"coordinator_address must be host:port, such as 'node07:12345', got {address!r}."
        raise ValueError(msg)
    for name, number in (("num_processes", count), ("process_id", index)):
        if number is not None and not isinstance(number, int):
            msg = f"{name} must be a whole number, got {number!r}."
            raise TypeError(msg)
    if count is not None and count < 1:
        msg = f"num_processes must be at least 1, got {count}."
        raise ValueError(msg)
    if index is not None and not 0 <= index < (count or index + 1):
        msg = f"process_id must be from 0 to num_processes - 1, got {index} of {count}."
        raise ValueError(msg)
    return Place(address, count, index)


def _number(variable: str) -> int | None:
    """Return the whole number in an environment variable, None where it is not set."""
    text = os.environ.get(variable)
    if text is None:
        return None
    if not text.isdigit():
        msg = f"{variable} must be a whole number, got {text!r}."
        raise ValueError(msg)
    return int(text)


def _first_number(*variables: str) -> int | None:
    """Return the number in the first of these environment variables that holds one."""
    found = (os.environ.get(v, "") for v in variables)
    return next((int(text) for text in found if text.isdigit()), None)


def check_port(place: Place) -> None:
    """Refuse, in process 0, a port on which another program listens: JAX may crash on it."""
    if place.address is None or place.index != 0 or "JAX_COORDINATOR_BIND_ADDRESS" in os.environ:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(place.address.rsplit(":", 1)[1])))
        except (OSError, OverflowError) as error:
            msg = f"{place} can't listen at {place.address} ({error}): choose a free port of this machine."
            raise RuntimeError(msg) from error


def processes_here(place: Place) -> int:
    """Return how many processes share this machine."""
    if place.address is not None and place.address.rsplit(":", 1)[0] in ("localhost", "127.0.0.1", "[::1]"):
        return place.count or 1
    slurm = os.environ.get("SLURM_STEP_TASKS_PER_NODE", os.environ.get("SLURM_TASKS_PER_NODE"))
    if slurm and "SLURM_PROCID" in os.environ:
        return slurm_tasks(slurm, _first_number("SLURM_NODEID") or 0)
    return _first_number("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE") or 1


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
    """End the process, saying why, unless the block ends in time; JAX waits in C++, where no exception reaches."""
    timer = threading.Timer(seconds, _give_up, (seconds, place))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(seconds: float, place: Place) -> None:
    """Say that the others have not come, and what to look at, and end the process."""
    text = f"jaxpwa: {place} has waited {seconds:g} s for the others and gives up. {advice(place)}\n"
    sys.stderr.write(text)
    flush()
    os._exit(1)


def advice(place: Place) -> str:
    """Return what to look at when the others don't come."""
    if place.address is None:
        return (
            "Was each process started by the launcher (srun, mpirun), and can the machines reach each other's ports? "
            "JAX_COORDINATOR_PORT sets the port of process 0."
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
    except OSError as error:
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
