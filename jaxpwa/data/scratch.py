"""Numbers of events kept as plain .npy files, one per column and range of events, and mapped into memory afterwards.

``folder/<key>/<column>_<start>_<stop>_<crc>.npy``: the key is a hash of all that the numbers depend on, so that files
which are replaced, or another ``derive``, have a folder of their own. Files are written under another name and renamed
when whole; what is damaged is removed and made again. Nothing is ever loaded that could run.
"""

import functools
import hashlib
import json
import os
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from jaxpwa._files import replacing
from jaxpwa._memory import ALIGNMENT, aligned
from jaxpwa.data.pieces import Columns, Layout

_VERSION = "jaxpwa scratch 1"
_NAME = re.compile(r"(\d+)_(\d+)_(\d+)_([0-9a-f]{8})\.npy")
_PAGE = 4096
_LARGE = 1 << 26
_SIMPLE = (int, float, complex, str, bytes, bool, type(None))


def key_of(parts: Iterable[Any], arrays: Iterable[np.ndarray]) -> str:
    """Return a hash of simple objects and of the bytes of arrays."""
    sum_ = hashlib.sha256(repr((_VERSION, *parts)).encode())
    for values in arrays:
        sum_.update(repr((values.shape, values.dtype.str)).encode())
        sum_.update(np.ascontiguousarray(values).tobytes())
    return sum_.hexdigest()[:32]


def code_of(function: Any) -> Any:
    """Return what a function's own code does, as simple objects that are the same in another run.

    Numbers, text and arrays that it closes over or takes from its module count; functions that it calls, other objects
    and arrays above 64 MiB are not looked into.
    """
    if function is None:
        return None
    if isinstance(function, functools.partial):
        return (code_of(function.func), _simple(function.args), _simple(sorted(function.keywords.items())))
    inner = getattr(function, "__wrapped__", function)
    code = getattr(inner, "__code__", None)
    if code is None:
        code = getattr(vars(type(inner)).get("__call__"), "__code__", None)
    cells = [_content(cell) for cell in getattr(inner, "__closure__", None) or ()]
    used = getattr(inner, "__globals__", {})
    taken = [(name, _simple(used[name])) for name in sorted(_names_in(code)) if name in used]
    return (_simple(code), _simple(getattr(inner, "__defaults__", None)), _simple(cells), taken)


def _names_in(code: Any) -> set[str]:
    """Return the names that code uses, that of functions inside it included."""
    if not isinstance(code, CodeType):
        return set()
    return set(code.co_names).union(*map(_names_in, code.co_consts))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _simple(thing: Any) -> Any:
    """Return a constant in a form whose text is the same in every run."""
    if isinstance(thing, CodeType):
        return (thing.co_code.hex(), thing.co_names, [_simple(c) for c in thing.co_consts])
    if isinstance(thing, (tuple, list)):
        return [_simple(part) for part in thing]
    if isinstance(thing, (set, frozenset)):
        return sorted(repr(_simple(part)) for part in thing)
    if isinstance(thing, dict):
        return sorted((repr(_simple(key)), repr(_simple(value))) for key, value in thing.items())
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject and thing.nbytes <= _LARGE:
        return key_of((), [thing])
    if isinstance(thing, np.generic):
        return repr(thing)
    return thing if isinstance(thing, _SIMPLE) else type(thing).__qualname__


class Scratch:
    """The folder of one dataset.

    Parameters
    ----------
    folder
        The user's folder; made if it is not there.
    key
        Of `key_of`.
    layout
        Shape and type of each column; their order numbers them.
    """

    def __init__(self, folder: Any, key: str, layout: Layout):
        if not isinstance(folder, (str, os.PathLike)):
            msg = f"scratch must be the path of a folder, got {folder!r} ({type(folder).__name__})."
            raise TypeError(msg)
        self.folder = Path(folder).resolve() / key
        self._make()
        self._layout = layout
        self._numbers = {name: number for number, name in enumerate(layout)}
        self._stored: dict[str, list[tuple[int, int, Path]]] = {name: [] for name in layout}
        self._verified: set[Path] = set()

    def _make(self) -> None:
        try:
            with self._explained():
                self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            msg = f"scratch must be a folder, but {os.fspath(self.folder.parent)!r} is a file or lies in one."
            raise NotADirectoryError(msg) from None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say which folder can't be written, and what to do."""
        try:
            yield
        except (FileExistsError, NotADirectoryError):
            raise
        except OSError as error:
            msg = (
                f"numbers can't be kept in the scratch folder {self.folder.parent}: {error}. Make room there or let it "
                "be written, choose another folder, or leave scratch out."
            )
            raise type(error)(msg) from error

    @contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        """Yield the file to write in place of another, in every process: each keeps its own events."""
        with self._explained():
            # Others may write to this folder too: nothing they put here may lead out of it.
            if path.is_symlink():
                path.unlink()
            with replacing(path, by_all=True) as temporary:
                yield temporary

    def look(self) -> None:
        """Find what is stored now, by whomever."""
        # Someone may have cleared the disk.
        self._make()
        names = list(self._numbers)
        stored: dict[str, list[tuple[int, int, Path]]] = {name: [] for name in names}
        for entry in os.scandir(self.folder):
            match = _NAME.fullmatch(entry.name)
            if match and int(match[1]) < len(names):
                stored[names[int(match[1])]].append((int(match[2]), int(match[3]), self.folder / entry.name))
        self._stored = {name: sorted(ranges) for name, ranges in stored.items()}

    def _covering(self, name: str, start: int, stop: int) -> list[tuple[int, int, Path]] | None:
        """Return stored ranges that hold these events together, in order; None where some are missing."""
        ranges = self._stored[name]
        found, at = [], start
        while at < stop:
            before = bisect_right(ranges, at, key=lambda r: r[0])
            one = next((r for r in reversed(ranges[:before]) if r[1] > at), None)
            if one is None:
                return None
            found.append(one)
            at = one[1]
        return found

    def holds(self, names: Iterable[str], start: int, stop: int) -> bool:
        """Tell whether these columns seem to be stored for these events."""
        return all(self._covering(name, start, stop) is not None for name in names)

    def load(self, names: Iterable[str], start: int, stop: int) -> Columns | None:
        """Return the columns, mapped without a copy where a piece lies in one file; None where one is missing."""
        # All of them, so that all damaged ones are found and made again in one go.
        loaded = {name: self._load(name, start, stop) for name in names}
        good = {name: values for name, values in loaded.items() if values is not None}
        return good if len(good) == len(loaded) else None

    def _load(self, name: str, start: int, stop: int) -> np.ndarray | None:
        while True:
            ranges = self._covering(name, start, stop)
            if ranges is None:
                return None
            maps = [self._map(name, *one) for one in ranges]
            good = [array for array in maps if array is not None]
            if len(good) == len(ranges):
                break
        if len(ranges) == 1:
            values = good[0][start - ranges[0][0] : stop - ranges[0][0]]
            if values.ctypes.data % ALIGNMENT == 0:
                # Read from disk here, in the thread that reads ahead.
                values.reshape(-1).view(np.uint8)[::_PAGE].max()
                return values
        shape, kind = self._layout[name]
        values, at = aligned((stop - start, *shape), kind, passing=True), start
        for array, (first, end, _) in zip(good, ranges, strict=True):
            until = min(end, stop)
            values[at - start : until - start] = array[at - first : until - first]
            at = until
        return values

    def _map(self, name: str, start: int, stop: int, path: Path) -> np.ndarray | None:
        """Map a file, or remove it where it is not what was written."""
        shape, kind = self._layout[name]
        try:
            array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
            good = array.shape == (stop - start, *shape) and array.dtype == kind and array.flags.c_contiguous
            if good and path not in self._verified:
                good = path.name.endswith(f"_{_crc(array):08x}.npy")
        except (OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError):
            good, array = False, None
        if good:
            self._verified.add(path)
            return array
        # Another thread or process may have found it before, and the folder be one to read only.
        with suppress(ValueError):
            self._stored[name].remove((start, stop, path))
        with suppress(OSError):
            path.unlink()
        return None

    def store(self, columns: Columns, start: int) -> None:
        """Keep columns of the events from ``start`` on, but those that are kept already."""
        for name, values in columns.items():
            stop = start + len(values)
            if self._covering(name, start, stop) is not None:
                continue
            path = self.folder / f"{self._numbers[name]}_{start}_{stop}_{_crc(values):08x}.npy"
            with self._writing(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, values, allow_pickle=False)
            ranges = self._stored[name]
            ranges.insert(bisect_right(ranges, (start, stop, path)), (start, stop, path))
            self._verified.add(path)

    def counts(self, n_files: int) -> list[int] | None:
        """Return the numbers of events of the files, where they were kept."""
        try:
            counts = json.loads((self.folder / "counts.json").read_text())
        except (OSError, ValueError):
            return None
        whole = isinstance(counts, list) and all(type(n) is int and n >= 0 for n in counts)
        return counts if whole and len(counts) == n_files else None

    def keep_counts(self, counts: list[int]) -> None:
        """Keep the numbers of events of the files."""
        self._make()
        with self._writing(self.folder / "counts.json") as temporary:
            temporary.write_text(json.dumps(counts))


def _crc(values: np.ndarray) -> int:
    flat: Any = values.reshape(-1).view(np.uint8)
    return zlib.crc32(flat)
