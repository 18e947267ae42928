"""Scripts run in several processes of this machine, over loopback, as a user starts them by hand."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_RESULT = "JAXPWA_TEST_RESULT"
_HERE = Path(__file__).parent

START = """
    import os, signal, sys, time, warnings
    from pathlib import Path
    import numpy as np
    import jax
    import jaxpwa as jp
    from jaxpwa import distributed
    from processes import give
"""
"""What most scripts begin with."""


@dataclass(frozen=True)
class Ended:
    """How one process ended.

    Attributes
    ----------
    status
        Exit status, minus the signal that killed it, None where it was killed because the time was up.
    out, err
        What it wrote.
    seconds
        Time from its start to its end.
    results
        What it gave with `give`.
    """

    status: int | None
    out: str
    err: str
    seconds: float
    results: dict[str, np.ndarray]


def give(**values) -> None:
    """Hand numbers, arrays and strings to the test that started this process; once per process."""
    np.savez(os.environ[_RESULT], **values)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def by_hand(n: int) -> list[dict[str, str]]:
    """Return the environment variables that tell n processes of each other."""
    address = f"127.0.0.1:{free_port()}"
    return [
        {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(n), "JAX_PROCESS_ID": str(i)} for i in range(n)
    ]


def _environment(devices: int | None, more: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would set a run's size, with the repository importable."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XLA", "SLURM", "OMPI", "PMI"))}
    paths = [str(_HERE), str(_HERE.parent), *filter(None, [kept.get("PYTHONPATH")])]
    kept |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    if devices is not None:
        kept["JAXPWA_CPU_DEVICES"] = str(devices)
    return kept | dict(more)


def _wait(process: subprocess.Popen, started: float, timeout: float, result: Path) -> Ended:
    """Wait for a process, kill it and its children when the time is up, and collect what it left."""
    try:
        out, err = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = None
    seconds = time.monotonic() - started
    results = {}
    if result.exists():
        with np.load(result) as stored:
            results = dict(stored)
    return Ended(status, out, err, seconds, results)


def run(
    n: int,
    source: str | Path,
    *args: object,
    timeout: float = 60.0,
    devices: int | None = 1,
    environments: list[dict[str, str]] | None = None,
    check: bool = True,
    grace: float | None = None,
) -> list[Ended]:
    """Run a script in n processes at the same time and return how each ended, in the order of their numbers.

    Parameters
    ----------
    n
        Number of processes.
    source
        The script: its text, which may be indented, or its path.
    args
        Its arguments.
    timeout
        Seconds after which processes that still run are killed.
    devices
        JAXPWA_CPU_DEVICES of each process; None leaves it unset.
    environments
        More variables for each process; None: those with which ``jp.distributed.initialize()`` finds the others.
    check
        Fail, with what the processes wrote, unless all end with status 0.
    grace
        Seconds that the others get when the first has ended, before they are killed; None: until the time is up.
    """
    environments = by_hand(n) if environments is None else environments
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(n) as pool:
        folder = Path(name)
        if isinstance(source, Path):
            script = source
        else:
            script = folder / "script.py"
            script.write_text(textwrap.dedent(source))
        processes, waits, started = [], [], time.monotonic()
        for i, more in enumerate(environments):
            result = folder / f"{i}.npz"
            process = subprocess.Popen(
                [sys.executable, str(script), *map(str, args)],
                env=_environment(devices, {_RESULT: str(result), **more}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            processes.append(process)
            waits.append(pool.submit(_wait, process, started, timeout, result))
        if grace is not None:
            wait(waits, return_when=FIRST_COMPLETED)
            wait(waits, timeout=grace)
            for process, waiting in zip(processes, waits, strict=True):
                if not waiting.done():
                    os.killpg(process.pid, signal.SIGKILL)
        ended = [w.result() for w in waits]
    if check and any(e.status != 0 for e in ended):
        told = [f"process {i}: status {e.status}\n{e.out}{e.err}" for i, e in enumerate(ended)]
        raise AssertionError("\n".join(told))
    return ended
