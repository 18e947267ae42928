"""Which of the processes of a run this is, and what the loss of another looks like; asking does not start JAX."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import jax

# What gloo (CPU), NCCL (GPU) and JAX's coordination service say when another process is gone.
_GONE = re.compile(
    r"gloo|nccl|coordination ?service|heartbeat|connection (closed|reset)|socket closed|broken pipe|tasks? .*unhealthy",
    re.IGNORECASE,
)
_LATE = re.compile(r"Gloo context initialization failed.*(DEADLINE|timed out)", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"peer \[([^\]]+)\]")

_status: list[int] = []


def is_distributed() -> bool:
    """Tell whether JAX's distributed runtime is up."""
    return jax.distributed.is_initialized()


def process_count() -> int:
    """Return how many processes take part.

    Returns
    -------
    int
        1 where `jaxpwa.distributed.initialize` was not called or found nothing to join.
    """
    return jax.process_count() if is_distributed() else 1


def process_index() -> int:
    """Return which of the processes this is.

    Returns
    -------
    int
        From 0; 0 where there is only one.
    """
    return jax.process_index() if is_distributed() else 0


def is_main() -> bool:
    """Tell whether this is the process that prints and writes.

    Returns
    -------
    bool
        True in process 0, and where there is only one.
    """
    return process_index() == 0


def note_failure(status: int = 1) -> None:
    """Note that this run has failed, so that the process ends with this status and waits for nobody."""
    _status.append(status)


def failure() -> int | None:
    """Return the status to end with, or None where nothing has failed."""
    return _status[0] if _status else None


def lost_process(error: BaseException) -> RuntimeError | None:
    """Return what to tell the user where an error means that another process is gone, and note the failure.

    Parameters
    ----------
    error
        What a wait for a result that processes make together has raised: a ``ValueError`` or a ``RuntimeError``.

    Returns
    -------
    RuntimeError or None
        The error to raise instead, or None where the error is something else.
    """
    if not is_distributed() or not isinstance(error, (ValueError, RuntimeError)) or not _GONE.search(str(error)):
        return None
    note_failure()
    return RuntimeError(_told(str(error)))


def _told(text: str) -> str:
    """Return the message for what gloo, NCCL or the coordination service said."""
    here = f"this is process {process_index()} of {process_count()}"
    if _LATE.search(text):
        return (
            f"another process has not come to this computation within 30 s ({here}): the run can't go on. "
            "Devices that compute together for the first time must do so at about the same time: let all processes "
            "use the same devices, and call jp.distributed.barrier() after work that takes unequal time."
        )
    found = _ADDRESS.search(text)
    where = f", at {found[1]}," if found else ""
    return (
        f"another process{where} has ended or can't be reached ({here}): the run can't go on. The output of that "
        "process says why. A fit with checkpoint= goes on from its last checkpoint when all are started again."
    )


@contextmanager
def together() -> Iterator[None]:
    """Turn what a wait for other processes raises into an error that says what has happened."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        lost = lost_process(error)
        if lost is None:
            raise
        raise lost from error
