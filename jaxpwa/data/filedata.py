"""Events that stay in files, for data larger than memory: read piece by piece, the next while one is worked on."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxpwa._checks import first_bad, known
from jaxpwa.data.columns import as_derived, check_each_by_itself
from jaxpwa.data.dataset import Dataset
from jaxpwa.data.io import Columns
from jaxpwa.data.io.format import as_names
from jaxpwa.data.pieces import Layout, equal_pieces, read_ahead
from jaxpwa.data.scratch import Scratch, code_of, key_of
from jaxpwa.data.sources import Sources, kind_of

_WEIGHTS = "\0weights"
"""Where weights are kept beside the columns: as float64, whatever the type of these."""


class FileDataset:
    """Events that stay in files, as named columns with one weight per event.

    Made by `Dataset.from_files`, whose arguments it takes. It stands for the files as they are when it is made.

    Parameters
    ----------
    paths, columns, weights, derive, dtype, memory_budget, scratch, options
        As of `Dataset.from_files`.

    Attributes
    ----------
    paths
        The files, in order.
    head
        The first events, at most 256, as a `Dataset` with all columns and the weights.
    dtype
        ``"float64"`` or ``"float32"``: the type of real columns.
    memory_budget
        How many bytes of numbers may be kept in memory, or None.
    is_weighted
        Whether weights were given.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As of `Dataset.from_files`.

    Examples
    --------
    >>> import tempfile, numpy as np, jaxpwa as jp
    >>> folder = tempfile.mkdtemp()
    >>> for part in range(3):
    ...     jp.write(f"{folder}/mc_{part}.npy", {"x": np.arange(4.0) + 4 * part})
    >>> mc = jp.Dataset.from_files(f"{folder}/mc_*.npy")
    >>> len(mc), [piece["x"].tolist() for piece in mc.pieces(5)]
    (12, [[0.0, 1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0, 9.0], [10.0, 11.0]])
    """

    def __init__(
        self,
        paths: Any,
        columns: Columns = None,
        *,
        weights: str | None = None,
        derive: Callable[[Dataset], Mapping[str, Any]] | None = None,
        dtype: str | None = None,
        memory_budget: int | None = None,
        scratch: str | os.PathLike | None = None,
        **options: Any,
    ):
        if weights is not None and not isinstance(weights, str):
            msg = f"weights must name a column of the files, got {type(weights).__name__}."
            raise TypeError(msg)
        if derive is not None and not callable(derive):
            msg = f"derive must be a function of a Dataset that returns columns, got {type(derive).__name__}."
            raise TypeError(msg)
        _check_budget(memory_budget)
        self.dtype = Dataset({"x": np.empty(0)}, dtype=dtype).dtype
        self.memory_budget = memory_budget
        self.is_weighted = weights is not None
        self._weights, self._derive = weights, derive
        self._sources = Sources(paths, columns, options)
        given = self._sources.first
        self._derived: Layout = {}
        derived = self._columns_derived(given)
        n_first = len(next(iter(given.values())))
        middle = slice((n_first + 2) // 3, n_first - n_first // 3)
        if derived and middle.start < middle.stop:
            alone = self._columns_derived({name: values[middle] for name, values in given.items()})
            check_each_by_itself(derived, alone, middle)
        self._derived = {name: (values.shape[1:], values.dtype) for name, values in derived.items()}
        self.head = Dataset({**given, **derived}, weights, dtype=self.dtype)
        self._layout = _layout_of(self.head)
        self._extra = [_WEIGHTS] if self.is_weighted else []
        if self.is_weighted:
            self._layout[_WEIGHTS] = ((), np.dtype(np.float64))
        self._scratch = None if scratch is None else self._scratch_in(scratch)

    @property
    def paths(self) -> tuple:
        """The files, in order."""
        return tuple(file.path for file in self._sources.files)

    @property
    def n_events(self) -> int:
        """Number of events in all files; text is counted when this is first asked for."""
        counted = self._sources.known_counts()
        if counted is None:
            counted = self._sources.counts()
            if self._scratch is not None:
                self._scratch.keep_counts(counted)
        return sum(counted)

    def __len__(self) -> int:
        return self.n_events

    def __contains__(self, name: object) -> bool:
        return name in self.head.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.head.columns)

    def pieces(
        self, rows: int, columns: Iterable[str] | None = None, *, start: int = 0, stop: int | None = None
    ) -> Generator[Dataset, None, None]:
        """Read consecutive events piece by piece; the next piece is read while the caller works on one.

        Parameters
        ----------
        rows
            Events per piece, at least 1; the last one may have fewer. Pieces run across the borders of files.
        columns
            Names of the columns wanted; None: all that hold numbers.
        start, stop
            First event, and the one after the last; None: to the end.

        Returns
        -------
        Generator of `Dataset`, with the weights if there are any. Columns are numbers as of `Dataset.numbers`,
        contiguous and aligned to 64 bytes. At most three pieces are in memory at a time: the caller's, one that waits,
        and one in the making. Closing the iterator early ends the reading.

        Raises
        ------
        ValueError, TypeError
            If there is no such column, it holds no numbers, or there are no such events; while reading, if a file was
            changed, is damaged, or a weight is not finite.
        """
        names = self._wanted(columns)
        start, stop = self._range(start, stop)
        if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or rows < 1:
            msg = f"rows must be a whole number of at least 1, got {rows!r}."
            raise ValueError(msg)
        return read_ahead(lambda stopped: self._pieces(names, start, stop, int(rows), stopped))

    def read(self, columns: Iterable[str] | None = None, *, start: int = 0, stop: int | None = None) -> Dataset:
        """Read events into memory, all of them at once.

        Parameters
        ----------
        columns, start, stop
            As in `pieces`.

        Returns
        -------
        A `Dataset`, as one piece of `pieces` would be.

        Raises
        ------
        ValueError, TypeError
            As `pieces`.
        """
        names = self._wanted(columns)
        start, stop = self._range(start, stop)
        if start == stop:
            numbers = Dataset({name: self.head.numbers(name)[:0] for name in names}, dtype=self.dtype)
            return numbers.with_weights(np.empty(0)) if self.is_weighted else numbers
        # To the end of the iterator: what it checks last is that the files are still the same.
        (whole,) = self._pieces(names, start, stop, stop - start, lambda: False)
        return whole

    def _wanted(self, columns: Iterable[str] | None) -> list[str]:
        """Check names of columns; without any, take one that tells how many events there are."""
        numeric = [name for name in self._layout if name != _WEIGHTS]
        names = numeric if columns is None else list(dict.fromkeys(as_names(columns)))
        for name in names:
            if name not in self._layout or name == _WEIGHTS:
                self.head.numbers(name)
        if not names and not numeric:
            msg = f"no column of the files holds numbers: {known(self)}."
            raise TypeError(msg)
        return names or numeric[:1]

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        n_events = self.n_events
        stop = n_events if stop is None else stop
        if any(isinstance(event, bool) or not isinstance(event, (int, np.integer)) for event in (start, stop)):
            msg = f"start and stop must be whole numbers, got {start!r} and {stop!r}."
            raise TypeError(msg)
        if not 0 <= start <= stop <= n_events:
            msg = f"start and stop must be events of the {n_events}, 0 <= start <= stop, got {start} and {stop}."
            raise ValueError(msg)
        return int(start), int(stop)

    def _pieces(
        self, names: list[str], start: int, stop: int, rows: int, stopped: Callable[[], bool]
    ) -> Iterator[Dataset]:
        """Read pieces from the files."""
        at = start
        if self._scratch is not None:
            self._scratch.look()
        while at < stop:
            held = self._from_scratch(names, at, min(stop, at + rows))
            if held is not None:
                yield self._dataset(held)
                at, held = at + rows, None
                continue
            end = self._next_held(names, at, stop, rows)
            layout = {name: self._layout[name] for name in [*names, *self._extra]}
            for columns in equal_pieces(self._numbers(names, at, end, stopped), layout, end - at, rows):
                if self._scratch is not None:
                    self._scratch.store(columns, at)
                at += len(next(iter(columns.values())))
                yield self._dataset(columns)
                columns = None
            if at < end:
                return

    def _from_scratch(self, names: list[str], start: int, stop: int) -> dict[str, np.ndarray] | None:
        return None if self._scratch is None else self._scratch.load([*names, *self._extra], start, stop)

    def _next_held(self, names: list[str], start: int, stop: int, rows: int) -> int:
        """Return where the next piece begins that is in the scratch folder."""
        if self._scratch is None:
            return stop
        starts = range(start + rows, stop, rows)
        held = (at for at in starts if self._scratch.holds([*names, *self._extra], at, min(stop, at + rows)))
        return next(held, stop)

    def _dataset(self, columns: dict[str, np.ndarray]) -> Dataset:
        weights = columns.get(_WEIGHTS)
        return Dataset({n: v for n, v in columns.items() if n != _WEIGHTS}, weights, dtype=self.dtype)

    def _scratch_in(self, folder: str | os.PathLike) -> Scratch:
        """Open the scratch folder of these files, read in this way."""
        files = [(str(f.path.resolve()), f.size, f.modified, sorted(f.options.items())) for f in self._sources.files]
        layout = [(name, shape, kind.str) for name, (shape, kind) in self._layout.items()]
        parts = (files, list(self._sources.names.items()), layout, self._weights, code_of(self._derive))
        values = [*(self.head.numbers(name) for name in self._layout if name != _WEIGHTS), self.head.weights]
        scratch = Scratch(folder, key_of(parts, values), self._layout)
        counts = scratch.counts(len(self._sources.files))
        if counts is not None:
            self._sources.keep_counts(counts)
        return scratch

    def _numbers(
        self, names: list[str], start: int, stop: int, stopped: Callable[[], bool]
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield columns and weights as numbers, as they are decoded."""
        needed = names if self._weights is None or self._weights in names else [*names, self._weights]
        derives = any(name in self._derived for name in needed)
        read = list(self._sources.names) if derives else needed
        for path, first, given in self._sources.parts(read, start, stop):
            if stopped():
                return
            try:
                made = {**given, **(self._columns_derived(given) if derives else {})}
                table = Dataset({name: made[name] for name in needed}, dtype=self.dtype)
                numbers = {name: table.numbers(name) for name in names}
                self._check_layout(numbers)
                if self._weights is not None:
                    numbers[_WEIGHTS] = _checked_weights(table, self._weights, first)
            except Exception as error:
                where = f"{path}, events from {first} on"
                if isinstance(error, (TypeError, ValueError)):
                    msg = f"{where}: {error}"
                    raise (TypeError if isinstance(error, TypeError) else ValueError)(msg) from error
                error.add_note(where)
                raise
            yield numbers

    def _check_layout(self, numbers: dict[str, np.ndarray]) -> None:
        for name, values in numbers.items():
            shape, kind = self._layout[name]
            if values.shape[1:] != shape or values.dtype != kind:
                msg = (
                    f"column {name!r} holds {values.dtype} numbers of shape {values.shape[1:]} per event, "
                    f"but {kind} ones of shape {shape} in the first events."
                )
                raise ValueError(msg)

    def _columns_derived(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the user's function makes of some events."""
        if self._derive is None:
            return {}
        # What it changed in place would be changed or not as other columns are asked for.
        kept = {name: values.view() for name, values in given.items()}
        for values in kept.values():
            values.flags.writeable = False
        derived = as_derived(self._derive(Dataset(kept, dtype=self.dtype)), len(next(iter(given.values()))))
        if self._derived and derived.keys() != self._derived.keys():
            msg = f"derive must return the same columns for all events: {known(self._derived)}, got {known(derived)}."
            raise ValueError(msg)
        return derived

    def __repr__(self) -> str:
        counts = self._sources.known_counts()
        n_events = f"{sum(counts)} events" if counts is not None else "events not counted yet"
        files = f"{len(self.paths)} file{'s' * (len(self.paths) > 1)}"
        weighted = f", weights: {self._weights}" if self._weights is not None else ""
        return f"FileDataset({n_events} in {files}{weighted}; columns: {known(self)})"


def _check_budget(memory_budget: Any) -> None:
    if memory_budget is None:
        return
    if isinstance(memory_budget, bool) or not isinstance(memory_budget, (int, np.integer)):
        msg = f"memory_budget must be a whole number of bytes, got {memory_budget!r}."
        raise TypeError(msg)
    if memory_budget < 0:
        msg = f"memory_budget must not be negative, got {memory_budget}."
        raise ValueError(msg)


def _layout_of(head: Dataset) -> Layout:
    """Return form and type of each column that holds numbers."""
    layout: Layout = {}
    for name, values in head.columns.items():
        if kind_of(values) != "other":
            layout[name] = (values.shape[1:], head.numbers(name).dtype)
    return layout


def _checked_weights(table: Dataset, name: str, first: int) -> np.ndarray:
    """Return weights as float64, all finite."""
    weights = np.asarray(Dataset({name: table[name]}).numbers(name), np.float64)
    bad = ~np.isfinite(weights)
    if bad.any():
        event = first_bad(bad)
        msg = (
            f"weights must be finite: event {first + event} has {weights[event]} in column {name!r}. "
            "Drop such events or give them weight 0."
        )
        raise ValueError(msg)
    return weights
