"""Checkpoints: the best point of a running fit, in a file from which the next run of the same fit goes on.

The file is a line that says what it is, and the fields of `Record` as a msgpack map. It replaces the one before as a
whole, so that a fit that is killed leaves the old or the new one. In a distributed run process 0 alone reads, looks at
the clock and writes, and tells the others what it has read: all start at the same point, or raise the same error.
"""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from jaxpwa._checks import JaxpwaWarning, known
from jaxpwa._processes import is_main, process_count
from jaxpwa.data.packing import pack, read_packed, unpack, write_packed
from jaxpwa.inference.cost import Cost
from jaxpwa.inference.objective import Objective
from jaxpwa.inference.parameters import ParameterTable
from jaxpwa.inference.traceable import event_terms

_MAGIC = b"jaxpwa checkpoint 1\n"
_EVERY = 10.0
# Sums over the same events differ by rounding between machines and numbers of processes, those of float32 intensities
# by theirs; other events, by the square root of their number.
_ROUNDING = {False: 1e-9, True: 1e-6}


@dataclass(frozen=True)
class Record:
    """What a checkpoint holds.

    Attributes
    ----------
    cost, entries, errordef
        What the cost is known by: what messages call it, its ``ndata`` and its ``errordef``. That its events,
        weights and intensity are the same shows in ``value``.
    values
        The best point so far, by name, fixed parameters included.
    value
        The cost there.
    start
        Where the first run started.
    stage
        What the fit was at: ``"descent"``, ``"migrad"`` or ``"errors"``.
    calls, seconds
        How often value, gradient and Hessian were computed, and for how long, in all runs together.
    runs
        How many runs there were.
    """

    cost: str
    entries: int
    errordef: float
    values: dict[str, float]
    value: float
    start: dict[str, float]
    stage: str
    calls: dict[str, int]
    seconds: float
    runs: int

    @classmethod
    def make(cls, plain: Any) -> "Record":
        """Read what a file holds; KeyError, TypeError, AttributeError or ValueError where it is no record."""
        return cls(
            cost=str(plain["cost"]),
            entries=int(plain["entries"]),
            errordef=float(plain["errordef"]),
            values={str(name): float(v) for name, v in plain["values"].items()},
            value=float(plain["value"]),
            start={str(name): float(v) for name, v in plain["start"].items()},
            stage=str(plain["stage"]),
            calls={str(name): int(v) for name, v in plain["calls"].items()},
            seconds=float(plain["seconds"]),
            runs=int(plain["runs"]),
        )


class Checkpoint:
    """The checkpoint of one run of a fit; without a file it does nothing.

    Parameters
    ----------
    path
        The file, or None.
    cost, table
        What is fitted, bound to the parameters of the table, and from where.
    began
        When the run began, by `time.perf_counter`.

    Attributes
    ----------
    table
        With the values to start at: those of the file, if there is one.
    earlier
        What earlier runs left in the file, or None.

    Raises
    ------
    TypeError, ValueError
        If there can be no such file, or there is one that is damaged or of another fit.
    """

    def __init__(self, path: str | os.PathLike | None, cost: Cost, table: ParameterTable, began: float):
        self._path = _as_path(path)
        self._new = Record(
            cost=cost._label,
            entries=cost.ndata,
            errordef=cost.errordef,
            values={},
            value=np.inf,
            start=dict(zip(table.names, table.values.tolist(), strict=True)),
            stage="descent" if cost.derivatives == 2 else "migrad",
            calls={},
            seconds=0.0,
            runs=0,
        )
        self._single = any(term.total.spec.single for term in event_terms(cost._terms))
        self._began, self._due = began, np.inf
        self._best, self._point = np.inf, table.values
        self._objective: Objective | None = None
        self.table, self.earlier = table, None
        if self._path is not None and (found := _by_main(self._read)) is not None:
            self.earlier = Record.make(found)
            self.table = replace(table, values=np.array([self.earlier.values[n] for n in table.names]))

    def _read(self) -> dict[str, Any] | None:
        """Return what the file holds, if it can be used here; None where there is no file."""
        path = self._path
        assert path is not None
        wrong = _no_file(path)
        if wrong:
            msg = f"the checkpoint {path} {wrong}. Give the name of a file."
            raise ValueError(msg)
        another = "Remove the file to start afresh, or give another name."
        try:
            record = Record.make(read_packed(path, _MAGIC, "was not written as a checkpoint by this jaxpwa"))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
            why = str(error) if isinstance(error, (ValueError, OSError)) else f"{path}: {type(error).__name__}: {error}"
            msg = f"the checkpoint can't be read: {why.rstrip('.')}. {another}"
            raise ValueError(msg) from None
        others = self._others(record)
        if others:
            msg = f"the checkpoint {path} is of another fit: {'; '.join(others)}. {another}"
            raise ValueError(msg)
        low, high = self.table.lower, self.table.upper
        for i, name in enumerate(self.table.names):
            if not low[i] <= record.values[name] <= high[i]:
                msg = (
                    f"the checkpoint {path} has {name}={record.values[name]:.6g}, outside the limits "
                    f"[{low[i]:.6g}, {high[i]:.6g}] of this fit. Widen them, or remove the file to start afresh."
                )
                raise ValueError(msg)
        return asdict(record)

    def _others(self, record: Record) -> list[str]:
        """Say in what the fit that left this record differs."""
        facts = {"the cost is": "cost", "the number of entries is": "entries", "errordef is": "errordef"}
        pairs = {text: (getattr(record, name), getattr(self._new, name)) for text, name in facts.items()}
        there, here = list(record.values), list(self.table.names)
        if set(there) != set(here):
            pairs["parameters are"] = known(there), known(here)
        else:
            fixed = self.table.fixed_values
            pairs |= {f"{name}, fixed here, is": (record.values[name], value) for name, value in fixed.items()}
        return [f"{text} {a} there and {b} here" for text, (a, b) in pairs.items() if a != b]

    def verify(self, value: float) -> None:
        """Compare the cost at the point of the file with what it was there.

        Raises
        ------
        ValueError
            If it is another one.
        """
        if self.earlier is None:
            return
        there = self.earlier.value
        scale = max(abs(there), self.earlier.entries, 1.0)

        def check() -> None:
            if not abs(value - there) <= _ROUNDING[self._single] * scale:
                msg = (
                    f"the checkpoint {self._path} is of another fit: at its point the cost was {there:.12g} and is "
                    f"{value:.12g} here, so that data, weights or intensity are others. "
                    "Remove the file to start afresh, or give another name."
                )
                raise ValueError(msg)

        _by_main(check)

    def follow(self, objective: Objective) -> None:
        """Keep the best point from now on, and write it from time to time."""
        self._objective = objective
        self._best, self._point = np.inf, self.table.values
        if self._path is not None and is_main():
            self._due = self._began + _EVERY

    def seen(self, x: np.ndarray, value: float) -> None:
        """Take note of a point."""
        # A cost of -inf, where an intensity is infinite, is no point to go on from.
        if np.isfinite(value) and value < self._best:
            self._best, self._point = float(value), np.array(x, np.float64)
        if time.perf_counter() >= self._due:
            self._write()

    def begin(self, stage: str) -> None:
        """Write what there is at the end of a stage, and begin the next one."""
        self._write()
        self._new = replace(self._new, stage=stage)

    def end(self, valid: bool) -> None:
        """Remove the file after a valid end, or leave the best point in it; write no longer."""
        if not valid:
            self._write()
        elif self._path is not None and is_main():
            self._try(lambda path: path.unlink(missing_ok=True), "removed: do that before you start the fit again")
        self._due = np.inf

    @property
    def calls(self) -> dict[str, int]:
        """How often value, gradient and Hessian were computed, in all runs."""
        own = {} if self._objective is None else self._objective.calls
        before = {} if self.earlier is None else self.earlier.calls
        return {name: n + before.get(name, 0) for name, n in own.items()}

    @property
    def seconds(self) -> float:
        """How long the fit has taken, in all runs."""
        return time.perf_counter() - self._began + (0.0 if self.earlier is None else self.earlier.seconds)

    @property
    def notes(self) -> dict[str, Any]:
        """What the settings of a result say of it: nothing where the fit started from the user's values."""
        if self.earlier is None:
            return {}
        plain = asdict(self.earlier)
        return {"resumed": {name: plain[name] for name in ("values", "stage", "calls", "seconds", "runs", "start")}}

    @property
    def advice(self) -> str:
        """What to do with the file after an end that is not valid."""
        if self._path is None:
            return ""
        return f" The checkpoint {self._path} is kept: the same fit goes on from there. Remove it to start afresh."

    def _write(self) -> None:
        """Write the best point, in the process that writes, once there is one."""
        if not (np.isfinite(self._due) and np.isfinite(self._best)):
            return
        table, before = self.table, self.earlier
        # MINUIT's limits are a sine, which rounding takes across them.
        x = np.clip(self._point, table.lower, table.upper).tolist()
        record = replace(
            self._new,
            values=dict(zip(table.names, x, strict=True)),
            value=self._best,
            start=self._new.start if before is None else before.start,
            calls=self.calls,
            seconds=self.seconds,
            runs=1 if before is None else before.runs + 1,
        )
        self._try(lambda path: write_packed(path, _MAGIC, asdict(record)), "written; the fit goes on")
        self._due = time.perf_counter() + _EVERY

    def _try(self, work: Callable[[Path], object], then: str) -> None:
        """Do something with the file; hours of fitting are not lost for a full disk."""
        assert self._path is not None
        try:
            work(self._path)
        except OSError as error:
            reason = str(error.strerror or error).rstrip(".")
            warnings.warn(f"the checkpoint {self._path} ({reason}) can't be {then}.", JaxpwaWarning, stacklevel=4)

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> None:
        if kind is not None:
            self.end(valid=False)


def _as_path(path: Any) -> Path | None:
    if path is not None and not isinstance(path, (str, os.PathLike)):
        msg = f"checkpoint must be the name of a file, or None, got {type(path).__name__}."
        raise TypeError(msg)
    if path == "":
        msg = "checkpoint must be the name of a file, got an empty one."
        raise ValueError(msg)
    if path is None:
        return None
    # A link stays, the file that it leads to is replaced and removed.
    return Path(os.path.realpath(path) if os.path.islink(path) else path)


def _no_file(path: Path) -> str:
    """Say why there can be no file of this name, nothing where there can."""
    try:
        if path.is_dir():
            return "is a folder"
        return "" if path.parent.is_dir() else f"can't be written: there is no folder {path.parent}"
    except OSError as error:
        return f"can't be written: {error.strerror or error}"


def _by_main(work: Callable[[], Any]) -> Any:
    """Return what the main process got, in every process, or raise its error."""
    if process_count() == 1:
        return work()
    from jaxpwa.engine.processes import broadcast

    content = b""
    if is_main():
        try:
            content = pack({"got": work()})
        except ValueError as error:
            content = pack({"error": str(error)})
    size = int(broadcast(np.array([len(content)]))[0])
    answer = unpack(broadcast(np.frombuffer(content or bytes(size), np.uint8)).tobytes())
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["got"]
