"""Intermediate results on disk: ``jaxpwa.cache.write(path, object)`` and ``jaxpwa.cache.read(path)``.

Arrays, tables, Datasets, ParticleTables, fit results, lists, tuples, dicts, numbers, text and dates, in msgpack.
Nothing in such a file can run.
"""

import os
from pathlib import Path
from typing import Any

from jaxpwa.data.packing import Extension, read_packed, write_packed
from jaxpwa.inference.result import FitResult

_MAGIC = b"jaxpwa object 1\n"
_EXTENSIONS = (Extension("FitResult", FitResult, FitResult.to_dict, FitResult.from_dict),)


def write(path: str | os.PathLike, thing: Any) -> None:
    """Write an object to a file, as a whole or not at all.

    Parameters
    ----------
    path
        The file, exactly this name; an existing one is replaced.
    thing
        What to keep.

    Raises
    ------
    TypeError
        If something in it can't be stored: the message has the path to that member.
    FileNotFoundError
        If there is no such folder.
    """
    write_packed(Path(path), _MAGIC, thing, _EXTENSIONS)


def read(path: str | os.PathLike) -> Any:
    """Read an object that `write` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    An object equal to the one written; a fit result without its live Minuit object.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or of another origin (a pickle, for instance).
    """
    return read_packed(Path(path), _MAGIC, "was not written by jaxpwa.cache.write", _EXTENSIONS)
