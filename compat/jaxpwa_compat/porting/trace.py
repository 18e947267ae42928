"""What is known while a user's class is being run on traced values, and how a refusal names the user's line."""

import linecache
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

import numpy as np

import jax

USER_CODE = "__jaxpwa_port__"
"""Key in the globals of functions that were rebuilt from the user's; it tells their frames from all others."""

_LIBRARIES = tuple(
    {str(Path(__file__).parent), *(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib"))}
)


class PortingError(TypeError):
    """A class can't be turned into a JAX function, or the function differs from it.

    The message names the file, the line and its text, and says what to write instead.
    """


class Trace:
    """One run of the user's class on traced values.

    Parameters
    ----------
    n_events
        In the trial run: a number of events that no other axis has, so that what mixes events is seen at the
        user's line. None in the runs for work, where any axis may have the length of the events.
    """

    def __init__(self, n_events: int | None = None):
        self.n_events = n_events
        self.used: dict[str, None] = {}
        self.columns: dict[str, None] = {}
        self.is_single = False
        self.passing: BaseException | None = None
        self.expression: str | None = None

    def has_events(self, value: Any) -> bool:
        """Tell whether an array has an axis of events (known in the trial run only)."""
        return self.n_events is not None and self.n_events in value.shape

    def starts_with_events(self, value: Any) -> bool:
        """Tell whether the first axis of an array is that of the events (known in the trial run only)."""
        return self.n_events is not None and value.shape[:1] == (self.n_events,)


_CURRENT: ContextVar[Trace | None] = ContextVar("_CURRENT", default=None)


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Make a trace the current one; ranks may differ in the user's operations, as in numpy."""
    token = _CURRENT.set(trace)
    try:
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), np.errstate(all="ignore"):
            yield trace
    finally:
        _CURRENT.reset(token)


def current() -> Trace:
    """Return the trace under way; one that keeps nothing where a proxy outlives its trace."""
    return _CURRENT.get() or Trace()


def note(name: str) -> None:
    """Record that a function of the user's was replaced."""
    current().used[name] = None


def refuse(what: str, advice: str) -> NoReturn:
    """Raise a `PortingError` for what the user's code does at this moment."""
    raise PortingError(message(what, advice, _innermost(_frames(sys._getframe(1)))))


def refusal_of(error: BaseException, what: str, advice: str) -> PortingError:
    """Make a `PortingError` of another exception, naming the user's line that it came from."""
    return PortingError(message(what, advice, _innermost(_walked(error.__traceback__))))


def message(what: str, advice: str, place: tuple[FrameType, int] | None) -> str:
    """Join the parts of a refusal: what, where, and what to write instead."""
    if place is None:
        return f"{what}. {advice}"
    frame, line = place
    code = frame.f_code
    text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    where = f"{code.co_filename}:{line}, in {code.co_name}"
    return f"{what}\n  at {where}{': ' + text if text else ''}\n{advice}"


def _frames(frame: FrameType | None) -> list[tuple[FrameType, int]]:
    frames = []
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return frames


def _walked(tb: TracebackType | None) -> list[tuple[FrameType, int]]:
    return list(traceback.walk_tb(tb))[::-1]


def _innermost(frames: list[tuple[FrameType, int]]) -> tuple[FrameType, int] | None:
    """Find the innermost frame of the user's own code; rebuilt functions count before helpers run as they are."""
    rebuilt = next((f for f in frames if USER_CODE in f[0].f_globals), None)
    inside = frames if rebuilt is None else frames[: frames.index(rebuilt)]
    return next((f for f in inside if not f[0].f_code.co_filename.startswith((*_LIBRARIES, "<"))), rebuilt)
