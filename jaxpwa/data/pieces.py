"""Streams of events put into pieces of equal length, made in a thread while the caller works on the last one."""

import atexit
from collections.abc import Callable, Generator, Iterator
from queue import Empty, Queue
from threading import Event, Thread, current_thread
from typing import Any, Generic, TypeVar

import numpy as np

from jaxpwa._memory import aligned

_T = TypeVar("_T")
Columns = dict[str, np.ndarray]
Layout = dict[str, tuple[tuple[int, ...], np.dtype]]
"""Shape of one event's entry and type of each column."""


def empty_piece(layout: Layout, n_events: int) -> Columns:
    """Return columns without content, contiguous and aligned."""
    return {name: aligned((n_events, *shape), kind, passing=True) for name, (shape, kind) in layout.items()}


def equal_pieces(parts: Iterator[Columns], layout: Layout, n_events: int, rows: int) -> Iterator[Columns]:
    """Copy parts of any length into pieces of ``rows`` events, the last one with what is left of ``n_events``.

    A piece is let go as it is yielded: what its receiver drops is free while the next one is filled.
    """
    made: list[Columns] = []
    left, filled, size = n_events, 0, 0
    for part in parts:
        n_part = len(next(iter(part.values())))
        done = 0
        while done < n_part:
            if not made:
                size, filled = min(rows, left), 0
                made.append(empty_piece(layout, size))
            take = min(size - filled, n_part - done)
            for name, values in made[0].items():
                values[filled : filled + take] = part[name][done : done + take]
            values = None
            filled, done = filled + take, done + take
            if filled == size:
                left -= size
                yield made.pop()


class _Reader(Generic[_T]):
    """A thread that runs an iterator, and a queue with room for one item."""

    def __init__(self, make: Callable[[Callable[[], bool]], Iterator[_T]]):
        self.waiting: Queue[tuple[str, Any]] = Queue(maxsize=1)
        self.left = Event()
        # A daemon: an iterator that is kept, but not used up, must not keep the interpreter from ending.
        self.thread = Thread(target=self._work, args=(make,), name="jaxpwa-read-ahead", daemon=True)

    def _work(self, make: Callable[[Callable[[], bool]], Iterator[_T]]) -> None:
        try:
            for item in make(self.left.is_set):
                self.waiting.put(("item", item))
                item = None
                if self.left.is_set():
                    return
            self.waiting.put(("end", None))
        except BaseException as error:
            self.waiting.put(("error", error))

    def end(self) -> None:
        """Make the thread end, and wait for it."""
        self.left.set()
        # The garbage collector may run this in any thread, the one to end included.
        while self.thread.is_alive() and self.thread is not current_thread():
            # It may wait for room.
            try:
                self.waiting.get(timeout=0.01)
            except Empty:
                pass
            self.thread.join(0.01)


_running: set[_Reader] = set()


@atexit.register
def _end_all() -> None:
    """End all threads while they still can end: later they would be waited for without end."""
    for reader in list(_running):
        reader.end()


def read_ahead(make: Callable[[Callable[[], bool]], Iterator[_T]]) -> Generator[_T, None, None]:
    """Run an iterator in a thread, one item ahead of the caller.

    Parameters
    ----------
    make
        ``make(stopped)`` returns the iterator; it is called in the thread and asks ``stopped()`` now and then whether
        the caller has left.

    Returns
    -------
    Iterator of the same items. Three exist at most: one in the making, one waiting, one with the caller. What the
    thread raises is raised here; when this iterator is closed or let go, the thread ends.
    """
    reader = _Reader(make)
    try:
        _running.add(reader)
        # Ctrl-C may come while it starts.
        reader.thread.start()
        while True:
            what, content = reader.waiting.get()
            if what == "error":
                try:
                    raise content
                finally:
                    # The traceback holds this frame, which would hold the error.
                    del content
            if what == "end":
                return
            yield content
            content = None
    finally:
        reader.end()
        _running.discard(reader)
