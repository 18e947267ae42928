"""Files that hold one table together: found, checked against each other, counted, read from any event on."""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpwa._checks import known
from jaxpwa.data.dataset import Dataset, table_columns
from jaxpwa.data.io import Columns, streamed_format
from jaxpwa.data.io.format import Format, as_mapping
from jaxpwa.data.particles import ParticleTable

_HEAD = 256
ROWS_AT_ONCE = 1 << 16
"""Events decoded at a time: large enough to be fast, small beside a piece."""


def find_files(paths: Any) -> tuple[Path, ...]:
    """Return the files that paths and patterns name: in the order given, sorted within a pattern.

    Raises
    ------
    FileNotFoundError
        If a path or pattern names no file.
    ValueError
        If there are none, or a file occurs twice.
    TypeError
        If something is no path.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        msg = f"paths must be a path, a pattern such as 'mc_*.parquet' or a sequence of them, got {given!r}."
        raise TypeError(msg)
    found: list[Path] = []
    for path in given:
        if not isinstance(path, (str, os.PathLike)):
            msg = f"paths must be strings or path objects, got {path!r} ({type(path).__name__})."
            raise TypeError(msg)
        # A file may have a bracket in its name.
        if os.path.exists(path):
            found.append(Path(path))
            continue
        names = sorted(name for name in glob.glob(os.fspath(path), recursive=True) if not os.path.isdir(name))
        if not names:
            msg = f"no file matches {os.fspath(path)!r}." if glob.has_magic(str(path)) else f"no such file: {path}"
            raise FileNotFoundError(msg)
        found += map(Path, names)
    if not found:
        msg = "paths must name at least one file, got none."
        raise ValueError(msg)
    real: dict[str, Path] = {}
    for path in found:
        other = real.setdefault(os.path.realpath(path), path)
        if other is not path:
            msg = f"paths name the same file twice: {path}{f' is {other}' if other != path else ''}."
            raise ValueError(msg)
    # Of this folder, also where the process changes to another one, or a copy is opened in one that began there.
    return tuple(Path(os.path.abspath(path)) for path in found)


def kind_of(values: np.ndarray) -> str | None:
    """Return 'real', 'complex' or 'other', and None where nothing but blanks is there to tell."""
    if values.dtype.kind == "c":
        return "complex"
    try:
        numbers = Dataset({"x": values}).numbers("x")
    except TypeError:
        return "other"
    return None if np.isnan(numbers).all() else "real"


@dataclass(frozen=True)
class SourceFile:
    """A file as it was found.

    Attributes
    ----------
    path, form
        Where and what it is.
    options
        What its reader is told besides.
    size, modified
        Bytes, and time of the last change in ns.
    """

    path: Path
    form: Format
    options: dict[str, Any]
    size: int
    modified: int

    @classmethod
    def at(cls, path: Path, options: dict[str, Any]) -> "SourceFile":
        """Find out what a file is; errors as of `streamed_format`."""
        form = streamed_format(path, options)
        status = path.stat()
        return cls(path, form, options, status.st_size, status.st_mtime_ns)

    def check_unchanged(self) -> None:
        """Refuse a file that is gone or was changed since it was found."""
        try:
            status = self.path.stat()
        except OSError as error:
            msg = f"{self.path} was there when the dataset was made, but can't be found now: {error}."
            raise FileNotFoundError(msg) from None
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            msg = f"{self.path} was changed after the dataset was made: make it again with Dataset.from_files."
            raise ValueError(msg)

    def count(self) -> int:
        """Return its number of events."""
        self.check_unchanged()
        assert self.form.count is not None
        return self.form.count(self.path, **self.options)

    def parts(self, columns: list[str] | None, start: int = 0, rows: int = ROWS_AT_ONCE) -> Iterator[Any]:
        """Yield tables of at most ``rows`` events from ``start`` on, with the file's own names and types."""
        self.check_unchanged()
        assert self.form.parts is not None
        for table in self.form.parts(self.path, rows, columns, start, **self.options):
            if isinstance(table, ParticleTable) or (isinstance(table, np.ndarray) and table.dtype.names is None):
                msg = f"{self.path} holds values without column names; a dataset needs names: write it as a table."
                raise ValueError(msg)
            yield table_columns(table)


def _check_same(heads: list[tuple[Path, dict[str, tuple]]]) -> None:
    """Refuse files whose columns differ from those of the first one."""
    first_path, first = heads[0]
    for path, head in heads:
        missing, more = [n for n in first if n not in head], [n for n in head if n not in first]
        if missing or more:
            lacks = [f"lacks {known(missing)}"] * bool(missing) + [f"has {known(more)} besides"] * bool(more)
            msg = (
                f"all files must have the same columns: {path} {' and '.join(lacks)}, compared with "
                f"{first_path}. Choose with columns=[...] those that all have."
            )
            raise ValueError(msg)
        for name, (shape, kind) in head.items():
            expected_shape, expected = first[name]
            if shape != expected_shape or (kind and expected and kind != expected):
                msg = (
                    f"column {name!r} holds {kind} values of shape {shape} per event in {path}, "
                    f"but {expected} ones of shape {expected_shape} in {first_path}."
                )
                raise ValueError(msg)


class Sources:
    """Files with the same columns, one after the other.

    Parameters
    ----------
    paths, columns, options
        As of `FileDataset`.

    Attributes
    ----------
    files
        In order.
    names
        The file's name of each column, by the name wanted.
    first
        The first events, at most 256, as the files have them.
    """

    def __init__(self, paths: Any, columns: Columns, options: dict[str, Any]):
        self.files = tuple(SourceFile.at(path, options) for path in find_files(paths))
        wanted = as_mapping(columns)
        heads: list[tuple[Path, dict[str, tuple]]] = []
        first: list[dict[str, np.ndarray]] = []
        missing = _HEAD
        for file in self.files:
            tables = file.parts(None if wanted is None else list(wanted), rows=max(missing, 1))
            head = next((table for table in tables if len(next(iter(table.values())))), None)
            # A file without events may not know the form of what it lacks, and nothing is read from it later.
            if head is None:
                continue
            heads.append((file.path, {name: (values.shape[1:], kind_of(values)) for name, values in head.items()}))
            if missing:
                first.append({name: values[:missing] for name, values in head.items()})
                missing -= len(next(iter(first[-1].values())))
        if not heads:
            msg = f"the files hold no events: {known(str(file.path) for file in self.files)}."
            raise ValueError(msg)
        _check_same(heads)
        self.names = {n: n for n in heads[0][1]} if wanted is None else {new: old for old, new in wanted.items()}
        self.first = {new: np.concatenate([part[old] for part in first]) for new, old in self.names.items()}
        self._counts: list[int | None] = [None] * len(self.files)

    def counts(self) -> list[int]:
        """Return the number of events of each file, counted once."""
        for i, file in enumerate(self.files):
            if self._counts[i] is None:
                self._counts[i] = file.count()
        return [n for n in self._counts if n is not None]

    def known_counts(self) -> list[int] | None:
        """Return the numbers of events where they are known already."""
        found = [n for n in self._counts if n is not None]
        return found if len(found) == len(self.files) else None

    def keep_counts(self, counts: list[int]) -> None:
        """Take over what was counted before."""
        self._counts = list(counts)

    def parts(self, names: list[str], start: int, stop: int) -> Iterator[tuple[Path, int, dict[str, np.ndarray]]]:
        """Yield the events ``start`` to ``stop`` of all files together.

        Parameters
        ----------
        names
            Columns, by their wanted names.
        start, stop
            First event, and the one after the last.

        Returns
        -------
        Iterator of file, index of the first event in all files together, and columns as the file has them.
        """
        first = 0
        for file, n_file in zip(self.files, self.counts(), strict=True):
            begin, end = max(start - first, 0), min(stop - first, n_file)
            if begin < end:
                at = begin
                for table in file.parts([self.names[n] for n in names], begin):
                    n_part = min(end - at, len(next(iter(table.values()))))
                    yield file.path, first + at, {n: table[self.names[n]][:n_part] for n in names}
                    at += n_part
                    if at == end:
                        break
                file.check_unchanged()
                if at < end:
                    msg = f"{file.path} ends after {at} events; {n_file} were counted: is it being written?"
                    raise ValueError(msg)
            first += n_file
