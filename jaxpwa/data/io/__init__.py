"""Files of events: `read` and `write`, one module per family of formats behind them.

=======  ====================================  ===========================
suffix   holds                                 `read` gives
=======  ====================================  ===========================
.csv     comma-separated table with a header   pandas DataFrame
.tsv     tab-separated table with a header     pandas DataFrame
.npy     structured numpy array                pandas DataFrame
.npy     plain numpy array                     numpy array
=======  ====================================  ===========================

A format is a `Format` record in `FORMATS`: adding one there is all that another file type takes.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxpwa._checks import known
from jaxpwa._files import replacing
from jaxpwa.data.io import binary, text
from jaxpwa.data.io.format import Format

FORMATS: tuple[Format, ...] = (*binary.FORMATS, *text.FORMATS)

_HEAD_BYTES = 4096


def _format_for_reading(path: Path) -> Format:
    """Choose by content where a format has an unmistakable mark, else by suffix."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        msg = f"{path} is empty."
        raise ValueError(msg)
    for form in FORMATS:
        if form.magic is not None and head.startswith(form.magic):
            return form
    form = _by_suffix(path)
    if form.magic is not None:
        msg = f"{path} is no {form.name} file: it does not start with {form.magic!r}."
        raise ValueError(msg)
    if b"\0" in head:
        msg = f"{path} should be {form.name} by its name, but holds binary data."
        raise ValueError(msg)
    return form


def _by_suffix(path: Path) -> Format:
    """Return the format whose suffix the path has."""
    suffix = path.suffix.lower()
    for form in FORMATS:
        if suffix in form.suffixes:
            return form
    suffixes = known(s for form in FORMATS for s in form.suffixes)
    msg = f"can't tell the format of {path.name!r} from its suffix {suffix!r}; known suffixes: {suffixes}."
    raise ValueError(msg)


def read(path: str | os.PathLike, columns: Sequence[str] | None = None) -> Any:
    """Read a file of events.

    Parameters
    ----------
    path
        The file. Its content decides the format where that is unmistakable, else its suffix.
    columns
        Names of the columns to read, in the order wanted; None: all, in the file's order.

    Returns
    -------
    A pandas DataFrame for tables, a numpy array for files without column names. Numbers are read to the
    last bit; nothing is known or assumed about units.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the format is unknown, the file is damaged (the message names the line), or a column is missing.
    """
    path = Path(path)
    if not path.exists():
        msg = f"no such file: {path}"
        raise FileNotFoundError(msg)
    if path.is_dir():
        msg = f"{path} is a folder; give the file in it."
        raise IsADirectoryError(msg)
    if isinstance(columns, str):
        columns = [columns]
    return _format_for_reading(path).read(path, None if columns is None else list(columns))


def write(path: str | os.PathLike, table: Any) -> None:
    """Write events to a file; reading it again gives the same numbers to the last bit.

    Parameters
    ----------
    path
        The file, made anew or replaced as a whole: a write that fails leaves the old file.
        The suffix decides the format.
    table
        DataFrame (its index is not written), dict of arrays, structured array or `jaxpwa.Dataset` (columns
        only, not the weights); for ``.npy`` also a plain array.

    Raises
    ------
    ValueError, TypeError
        If the suffix is unknown or its format can't hold this table.
    """
    path = Path(path)
    form = _by_suffix(path)
    with replacing(path) as temporary:
        form.write(temporary, table)
