"""Files of events: `read`, `write` and `iter_chunks`, one module per family of formats behind them.

=================  ===========================================  ==========================================
suffix             holds                                        `read` gives
=================  ===========================================  ==========================================
.csv, .tsv         table with a header                          DataFrame
.kvars, .txt       lines of ``name=number,name=number``         DataFrame
.txt               one number per line                          array of float64
.pf                mask, 0 or 1 per line                        array of bool
.sel               event indices, one per line                  array of int64
.gamp              particles of each event                      `ParticleTable`
.npy               structured, or plain array                   DataFrame, or array
.npz               one array per column                         DataFrame
.pgz               PyPWA's archives                             what was written
.root              TTree, RNTuple (extra ``root``)              DataFrame
.parquet, .pq      table (extra ``parquet``)                    DataFrame
=================  ===========================================  ==========================================

Text may be compressed (.gz, .bz2, .xz). Tables with columns of several numbers per event come as `Dataset`.
A format is a `Format` record in `FORMATS`: adding one there is all that another file type takes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxpwa._checks import known
from jaxpwa._files import replacing
from jaxpwa.data import readcache
from jaxpwa.data.dataset import Dataset, table_columns
from jaxpwa.data.io import binary, gamp, lines, parquet, pgz, root, text
from jaxpwa.data.io.format import Format, as_mapping
from jaxpwa.data.io.source import compression_of, data_suffix, head_of, open_to_write
from jaxpwa.data.particles import ParticleTable

FORMATS: tuple[Format, ...] = (
    *binary.FORMATS,
    *root.FORMATS,
    *parquet.FORMATS,
    *pgz.FORMATS,
    *gamp.FORMATS,
    *text.FORMATS,
    *lines.FORMATS,
)

Columns = Sequence[str] | Mapping[str, str] | str | None

_HEAD_BYTES = 4096


def _by_suffix(suffix: str) -> Format | None:
    return next((form for form in FORMATS if suffix in form.suffixes), None)


def _format_of(path: Path) -> Format:
    """Choose by content where a format has an unmistakable mark, else by suffix, else by the look of the text."""
    with path.open("rb") as file:
        raw = file.read(_HEAD_BYTES)
    if not raw.strip():
        msg = f"{path} is empty."
        raise ValueError(msg)
    suffix, _ = data_suffix(path)
    named = _by_suffix(suffix)
    for form in FORMATS:
        # A mark that only tells of compression is anyone's.
        if form.magic is not None and not compression_of(form.magic) and raw.startswith(form.magic):
            return form
    if named is not None and named.magic is not None:
        if raw.startswith(named.magic):
            return named
        msg = f"{path} is no {named.name} file: it does not start with {named.magic!r}."
        raise ValueError(msg)
    head = head_of(path, _HEAD_BYTES) if compression_of(raw) else raw
    if b"\0" in head:
        what = f"should be {named.name} by its name, but holds" if named else "holds"
        msg = f"{path} {what} binary data of no known format."
        raise ValueError(msg)
    if not head.strip():
        msg = f"{path} is empty."
        raise ValueError(msg)
    form = named or next((f for f in FORMATS if f.recognises is not None and f.recognises(head)), None)
    if form is None:
        msg = (
            f"can't tell the format of {path.name!r} from its suffix {suffix!r} or its content; "
            f"known suffixes: {_suffixes()}."
        )
        raise ValueError(msg)
    return form


def _suffixes() -> str:
    return known((s for form in FORMATS for s in form.suffixes), 20)


def _checked(path: str | os.PathLike, columns: Columns, options: dict) -> tuple[Path, Format, dict[str, str] | None]:
    """Check what can be checked before a file is read, and return the names wanted by the file's own."""
    path = Path(path)
    if not path.exists():
        msg = f"no such file: {path}"
        raise FileNotFoundError(msg)
    if path.is_dir():
        msg = f"{path} is a folder; give the file in it."
        raise IsADirectoryError(msg)
    if not path.is_file():
        msg = (
            f"{path} is no regular file: files of events are read more than once; write a pipe's content to one first."
        )
        raise ValueError(msg)
    form = _format_of(path)
    foreign = [name for name in options if name not in form.options]
    if foreign:
        msg = f"{form.name} files take no option {known(foreign)}; options: {known(form.options)}."
        raise TypeError(msg)
    return path, form, as_mapping(columns)


def streamed_format(path: Path, options: dict[str, Any]) -> Format:
    """Return the format of a file whose events are to stay in it.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If there is no such file, it has no such option, or can only be read as a whole.
    """
    _, form, _ = _checked(path, None, options)
    if form.parts is None or form.count is None:
        can = known((f.name for f in FORMATS if f.parts is not None), 20)
        msg = (
            f"{path}: {form.name} files can't be read in pieces by column: read them with jaxpwa.read, "
            f"or write them as one of: {can}."
        )
        raise ValueError(msg)
    return form


def _renamed(table: Any, columns: dict[str, str] | None) -> Any:
    """Give columns the names wanted."""
    if columns is None or all(old == new for old, new in columns.items()):
        return table
    if isinstance(table, pd.DataFrame):
        return table.rename(columns=columns)
    return Dataset({columns[name]: values for name, values in table_columns(table).items()})


def iter_chunks(path: str | os.PathLike, rows: int, columns: Columns = None, **options: Any) -> Iterator[Any]:
    """Read a file of events piece by piece.

    Parameters
    ----------
    path, columns, options
        As in `read`.
    rows
        Events per piece, the last one may have fewer.

    Returns
    -------
    Iterator of what `read` would give, in the file's order. Text, ROOT and parquet files are never in memory as a
    whole.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        As `read`, and where rows are no whole number of at least 1; faults inside a file when their piece is reached.
    """
    if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)):
        msg = f"rows must be a whole number, got {rows!r}."
        raise TypeError(msg)
    if rows < 1:
        msg = f"rows must be at least 1, got {rows}."
        raise ValueError(msg)
    path, form, chosen = _checked(path, columns, options)
    names = None if chosen is None else list(chosen)
    return (_renamed(part, chosen) for part in form.chunks(path, rows, names, **options))


def read(path: str | os.PathLike, columns: Columns = None, *, cache: bool = False, **options: Any) -> Any:
    """Read a file of events.

    Parameters
    ----------
    path
        The file. Its content decides the format where that is unmistakable, else its suffix, else the look of its text.
    columns
        Names of the columns to read, in the order wanted; or a mapping from names in the file to names wanted;
        None: all, in the file's order.
    cache
        Keep the parsed table beside the file, as ``<name>.cache``, and use it as long as the file is the same.
        Worth it for text of four-vectors and for compressed files; pandas parses csv about as fast. A cache that is
        damaged, old, foreign or can't be written only costs a parse.
    options
        ROOT files: ``tree="name"`` where there are several; ``beam_polarization=True`` for AmpTools trees whose beam
        carries it in Px and Py.

    Returns
    -------
    A pandas DataFrame for tables, a numpy array for files without column names, a `ParticleTable` for four-vectors, a
    `Dataset` where columns have several numbers per event. Numbers are read to the last bit; nothing is known or
    assumed about units.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the format is unknown, the file is damaged (the message names the line or event), or a column is missing.
    TypeError
        If the format has no such option, or columns are no names.
    ModuleNotFoundError
        If the format needs a package that is not installed: the message has the pip line.
    """
    path, form, chosen = _checked(path, columns, options)
    names = None if chosen is None else list(chosen)
    settings = repr((form.name, names, sorted(options.items())))
    if cache:
        found, table = readcache.load(path, settings)
        if found:
            return _renamed(table, chosen)
    parts = list(form.chunks(path, None, names, **options))
    if not parts:
        msg = f"{path} holds no events."
        raise ValueError(msg)
    if cache:
        readcache.store(path, settings, parts[0])
    return _renamed(parts[0], chosen)


def write(path: str | os.PathLike, table: Any) -> None:
    """Write events to a file; reading it again gives the same numbers to the last bit.

    Parameters
    ----------
    path
        The file, made anew or replaced as a whole: a write that fails leaves the old file. The suffix decides the
        format, and a further .gz, .bz2 or .xz the compression.
    table
        DataFrame (its index is not written), dict of arrays, structured array or `Dataset` (columns only, not the
        weights); `ParticleTable` for .gamp and .pgz; plain arrays for .npy, .txt, .pf, .sel and .pgz.

    Raises
    ------
    ValueError, TypeError
        If the suffix is unknown or its format can't hold this table.
    """
    write_chunks(path, [table])


def write_chunks(path: str | os.PathLike, tables: Iterable[Any]) -> None:
    """Write a file of events that come in pieces of one kind.

    Parameters
    ----------
    path
        As in `write`.
    tables
        At least one piece. Text is written as the pieces come; other formats need all of them in memory.

    Raises
    ------
    ValueError, TypeError
        As `write`; whatever goes wrong on the way, an old file stays.
    """
    path = Path(path)
    suffix, compression = data_suffix(path)
    form = _by_suffix(suffix)
    if form is None:
        msg = f"can't tell the format of {path.name!r} from its suffix {suffix!r}; known suffixes: {_suffixes()}."
        raise ValueError(msg)
    if compression and form.magic is not None:
        msg = f"{form.name} files are not compressed from outside: write {path.stem!r}."
        raise ValueError(msg)
    with replacing(path) as temporary, open_to_write(temporary, compression) as stream:
        pieces = iter(tables)
        first = next(pieces, None)
        if first is None:
            msg = f"{path}: there must be at least one piece of a table to write, got none."
            raise ValueError(msg)
        if form.append is None:
            form.write(stream, _joined([first, *pieces]))
            return
        form.write(stream, first)
        for piece in pieces:
            form.append(stream, piece)


def _joined(tables: list) -> Any:
    """Put pieces of one kind together."""
    if len(tables) == 1:
        return tables[0]
    first = tables[0]
    if isinstance(first, ParticleTable):
        vectors = [np.concatenate(parts) for parts in zip(*(t.p4 for t in tables), strict=True)]
        return ParticleTable(zip(first.ids, first.charges, vectors, strict=True))
    if isinstance(first, np.ndarray):
        return np.concatenate(tables)
    columns = [table_columns(table) for table in tables]
    return {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
