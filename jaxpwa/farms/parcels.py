"""What travels to other processes: bytes that any pickle carries, functions of notebooks and scripts included."""

import hashlib
import threading
import traceback
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

# A function and a cost, and those of another farm that takes turns with this one.
_MOST_OPEN = 4
_open: OrderedDict[str, Any] = OrderedDict()
# Threads of one process share what is open; opening may open more.
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Failure:
    """Why a task has no result.

    Attributes
    ----------
    reason
        One line.
    traceback
        Where it happened, as text of the process that ran it; empty where that process ended, or never began.
    """

    reason: str
    traceback: str = field(default="", repr=False)

    @classmethod
    def of(cls, error: BaseException, *, here: bool = True) -> "Failure":
        """Describe an error; ``here`` is False for one that only says that a task was lost."""
        try:
            first = str(error).strip().split("\n")[0]
        except Exception as worse:  # errors of others may not even say what they are
            first = f"its message can't be had ({type(worse).__name__})"
        reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
        return cls(reason, "".join(traceback.format_exception(error)).rstrip() if here else "")


def packed(thing: Any, what: str) -> bytes:
    """Return a thing as bytes.

    Raises
    ------
    TypeError
        If it can't be: the message starts with ``what``.
    """
    try:
        return cloudpickle.dumps(thing)
    except Exception as error:
        msg = f"{what} can't be sent to another process: {Failure.of(error).reason}"
        raise TypeError(msg) from error


@dataclass(frozen=True)
class Parcel:
    """A thing that several tasks share; a process opens it once.

    Compiled code belongs to objects (arrays that a function holds, for instance), so tasks of a process must share
    what they compute with.

    Attributes
    ----------
    content
        The thing as bytes.
    digest
        What it is known by.
    """

    content: bytes = field(repr=False)
    digest: str

    @classmethod
    def of(cls, thing: Any, what: str) -> "Parcel":
        """Pack a thing; errors as of `packed`."""
        content = packed(thing, what)
        return cls(content, hashlib.blake2b(content, digest_size=16).hexdigest())

    def open(self) -> Any:
        """Return the thing, the same object each time as long as it is kept."""
        with _LOCK:
            thing = _open.pop(self.digest, None)
            if thing is None:
                thing = cloudpickle.loads(self.content)
            _open[self.digest] = thing
            while len(_open) > _MOST_OPEN:
                _open.popitem(last=False)
        return thing
