"""Farms of tasks through the standard `concurrent.futures` interface."""

import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import cloudpickle

from jaxpwa._checks import JaxpwaWarning, known
from jaxpwa._progress import progress_bar
from jaxpwa.farms.parcels import Failure, Parcel, packed

# Tasks that wait in the executor's hands: so many, and so many bytes. Packing goes on as they end.
_MOST_WAITING = 4096
_BYTES_WAITING = 1 << 30
_MOST_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Farmed(Mapping[int, Any]):
    """What came back from a farm of tasks: a mapping from an item's position to its result.

    Attributes
    ----------
    results
        By position of the item, in order; only those that came back.
    failures
        Why the others did not: each has a ``reason`` of one line and the ``traceback`` of the process that ran it.
    n_tasks
        How many there were.
    seconds
        Duration in all.
    """

    results: dict[int, Any] = field(repr=False)
    failures: dict[int, Failure]
    n_tasks: int
    seconds: float

    def __getitem__(self, number: int) -> Any:
        if number in self.failures:
            msg = f"item {number} has no result: {self.failures[number].reason}"
            raise KeyError(msg)
        return self.results[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @property
    def problem(self) -> str:
        """What went wrong, in a sentence; empty where every task came back."""
        if not self.failures:
            return ""
        number, failure = next(iter(self.failures.items()))
        which = known(map(str, self.failures))
        text = f"{len(self.failures)} of {self.n_tasks} tasks failed (items {which}); item {number}: {failure.reason}"
        return text if text.endswith(".") else f"{text}."

    def __repr__(self) -> str:
        lines = [f"{len(self)} of {self.n_tasks} tasks came back in {self.seconds:.3g} s"]
        shown = list(self.failures.items())[:_MOST_SHOWN]
        lines += [f"  item {number} failed: {failure.reason}" for number, failure in shown]
        if len(self.failures) > len(shown):
            lines.append(f"  and {len(self.failures) - len(shown)} more failed: see failures")
        return "\n".join(lines)


def farm(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    executor: Executor | None = None,
    *,
    progress: bool | None = None,
) -> Farmed:
    """Call a function with each of many items, wherever an executor runs it, and keep what comes back.

    For work that is independent: toys, bins, starts, systematic variations. Functions of notebooks and scripts,
    lambdas, costs and results of fits all travel, whatever the executor pickles with. A task that raises does not end
    the others, and neither does one whose process ends where the executor replaces that, as `process_pool` and Dask do;
    pools of the standard library and of loky are broken then, and all tasks that are not done fail. Where tasks need
    the same large sample, let the function read it from a file, or make it: what the function holds travels with every
    task (Dask warns of more than 10 MB).

    Parameters
    ----------
    function
        ``function(item)``; what it returns must be picklable, as results of fits are.
    items
        What it is called with, one after the other: seeds, names of files, tuples.
    executor
        Where: `jaxpwa.process_pool`, a `concurrent.futures` executor, Dask's ``client.get_executor()``,
        ``mpi4py.futures.MPIPoolExecutor()``, one of loky. It is not shut down. None: this process, one by one.
    progress
        None: a bar on terminals and in Jupyter for work of more than two seconds. False: none.

    Returns
    -------
    Farmed
        Results by position, in the order of the items, and why others failed.

    Raises
    ------
    TypeError, ValueError
        If there are no items, the executor is none or one of forked processes, in which JAX hangs, or the function or
        an item can't be sent: the message names it. An item that turns out so when others have come back is a failure.
    RuntimeError
        If every task fails; the traceback of the first is in its notes.

    Warns
    -----
    JaxpwaWarning
        Once, if tasks failed: it names them.

    Examples
    --------
    >>> import jaxpwa as jp
    >>> squares = jp.farm(lambda x: x**2, [1, 2, 3])
    >>> squares.results
    {0: 1, 1: 4, 2: 9}
    """
    if not isinstance(items, Iterable):
        msg = f"items must be a sequence, such as range(100), got {type(items).__name__}."
        raise TypeError(msg)
    items = list(items)
    if not callable(function):
        msg = f"function must be callable as function(item), got {type(function).__name__}."
        raise TypeError(msg)
    if not items:
        msg = "items must hold at least one item, got none."
        raise ValueError(msg)
    farmed = run_all(function, items, executor, len(items), progress=progress)
    if not farmed.results:
        first = farmed.failures[0]
        error = RuntimeError(f"every task failed; the first: {first.reason}")
        error.add_note(first.traceback or "its process left no traceback")
        raise error
    if farmed.problem:
        warnings.warn(farmed.problem, JaxpwaWarning, stacklevel=2)
    return farmed


def check_executor(executor: Any) -> None:
    """Refuse what is no executor, and one whose processes are copies of this one, without JAX's threads."""
    if executor is None:
        return
    if isinstance(executor, Executor):
        context = getattr(executor, "_mp_context", None)
        if isinstance(executor, ProcessPoolExecutor) and context and context.get_start_method() == "fork":
            msg = (
                "executor forks its processes, in which JAX hangs: write with jaxpwa.process_pool(4) as pool: ... "
                'executor=pool, or ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")).'
            )
            raise ValueError(msg)
        return
    hint = "with jaxpwa.process_pool(4) as pool: ... executor=pool"
    if hasattr(executor, "get_executor"):
        hint = "executor=client.get_executor()"
    msg = f"executor must be a concurrent.futures.Executor or None, got {type(executor).__name__}: write {hint}."
    raise TypeError(msg)


def run_all(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    executor: Executor | None,
    n_tasks: int,
    *,
    what: str = "farm",
    whose: str = "the function",
    unit: str = " tasks",
    steps: Callable[[int], int] = lambda number: 1,
    label: Callable[[int], str] = "item {}".format,
    on_result: Callable[[int, Any], object] = lambda number, value: None,
    progress: bool | None = None,
) -> Farmed:
    """Run all tasks and sort results from failures, without a word about them.

    Parameters
    ----------
    function, items, executor, progress
        As of `farm`; items may be made one by one, as they are sent.
    n_tasks
        How many items there are.
    what, unit, steps
        What the bar says, and by how much it goes on after each task.
    whose
        What messages call the function.
    label
        What messages call an item.
    on_result
        Called with each result as it comes, in any order.
    """
    check_executor(executor)
    began = time.perf_counter()
    results, failures = {}, {}
    if executor is None:
        ended = _here(function, items)
    else:
        ended = _elsewhere(Parcel.of(function, whose), items, executor, label)
    total = sum(map(steps, range(n_tasks)))
    with closing(ended), progress_bar(what, total, unit, progress) as bar:
        for number, value in ended:
            if isinstance(value, Failure):
                failures[number] = value
            else:
                results[number] = value
                on_result(number, value)
            bar.update(steps(number))
    return Farmed(dict(sorted(results.items())), dict(sorted(failures.items())), n_tasks, time.perf_counter() - began)


def _here(function: Callable[[Any], Any], items: Iterable[Any]) -> Generator[tuple[int, Any], None, None]:
    """Yield results, or failures, by position."""
    for number, item in enumerate(items):
        try:
            value = function(item)
        except Exception as error:
            value = Failure.of(error)
        yield number, value


def _workers(executor: Executor) -> int:
    """Return how many tasks run at a time, so many of which are sent, however large; 1 where nobody knows."""
    n = getattr(executor, "_max_workers", None)
    return n if isinstance(n, int) and n > 0 else 1


def _elsewhere(
    shared: Parcel, items: Iterable[Any], executor: Executor, label: Callable[[int], str]
) -> Generator[tuple[int, Any], None, None]:
    """Yield results, or failures, by position, as they come back from an executor."""
    done: SimpleQueue[int] = SimpleQueue()
    running: dict[int, tuple[Future, int]] = {}
    waiting, all_sent, n_bytes, some_ended = enumerate(items), False, 0, False
    fewest = _workers(executor)
    try:
        while True:
            while not all_sent and (
                len(running) < fewest or (len(running) < _MOST_WAITING and n_bytes < _BYTES_WAITING)
            ):
                number, item = next(waiting, (-1, None))
                if number < 0:
                    all_sent = True
                    break
                try:
                    content = packed(item, label(number))
                except TypeError as error:
                    if not some_ended:
                        raise
                    yield number, Failure.of(error)  # what came back is not given up for it
                    continue
                try:
                    future = executor.submit(run_packed, shared, number, content)
                except Exception as error:  # such as a pool that is broken, or shut down
                    yield number, Failure.of(error, here=False)
                    continue
                size = len(content) + len(shared.content)
                running[number] = future, size
                n_bytes += size
                # Callbacks are all that the interface promises; they come from threads of the executor.
                future.add_done_callback(lambda _, number=number: done.put(number))
            if not running:
                return
            number = done.get()
            future, size = running.pop(number)
            n_bytes -= size
            some_ended = True
            yield number, _received(future)
    finally:
        for future, _ in running.values():
            future.cancel()


def run_packed(function: Parcel, number: int, item: bytes) -> bytes:
    """Run one task in a worker; ``number`` tells tasks of equal items apart, where executors look for such."""
    try:
        return cloudpickle.dumps(function.open()(cloudpickle.loads(item)))
    except Exception as error:
        return cloudpickle.dumps(Failure.of(error))


def _received(future: Future) -> Any:
    """Return what a task gave, or its failure."""
    try:
        return cloudpickle.loads(future.result())
    except CancelledError:
        return Failure("cancelled before it was done")
    except KeyboardInterrupt:
        return Failure("interrupted")
    except BaseException as error:  # also what ended a worker, such as SystemExit
        return Failure.of(error, here=False)
