"""Results kept between runs: ``found, thing = cache.read("fit")`` and ``cache.write("fit", thing)``.

The content is jaxpwa's msgpack, never a pickle: nothing in such a file can run. Arrays, tables, lists, tuples, dicts,
numbers, text, dates and jaxpwa's fit results can be kept.

=====================  ==========================  ========================
call                   file                        PyPWA 4
=====================  ==========================  ========================
``intermediate=True``  ``<stem>.intermediate``     the same name, but always in the current directory
``intermediate=False`` ``<stem>.object``           ``<stem>.cache``, the name of `read`'s own caches
=====================  ==========================  ========================

The stem is the name up to its last dot, so that ``fit.1`` and ``fit.2`` share a file, as in PyPWA.
"""

import os
from pathlib import Path
from typing import Any

import jaxpwa


def _file(path: str | os.PathLike, intermediate: bool) -> Path:
    """Return where an object is kept, beside the name given."""
    path = Path(path)
    if not path.name:
        msg = f"path must name a file, got {str(path)!r}: pass a name like 'fit'."
        raise ValueError(msg)
    return path.with_name(path.stem + (".intermediate" if intermediate else ".object"))


def read(path: str | os.PathLike, intermediate: bool = True, remove_cache: bool = False) -> tuple[bool, Any]:
    """Look for an object that `write` kept.

    Parameters
    ----------
    path, intermediate
        As given to `write`.
    remove_cache
        Remove the file first, so that nothing is found; a missing one is fine.

    Returns
    -------
    tuple of bool and object
        Whether it is there, and the object; ``(False, None)`` also for a file that is damaged or that jaxpwa did not
        write (PyPWA's pickles), which is never loaded.

    Raises
    ------
    ValueError
        If ``path`` names no file.
    """
    file = _file(path, intermediate)
    if remove_cache:
        file.unlink(missing_ok=True)
        return False, None
    try:
        return True, jaxpwa.cache.read(file)
    except (OSError, ValueError):
        return False, None


def write(path: str | os.PathLike, obj: Any, intermediate: bool = True) -> None:
    """Keep an object, as a whole or not at all.

    Parameters
    ----------
    path
        Name, with or without suffix, in the current directory unless it has a folder.
    obj
        What to keep.
    intermediate
        Which of the two files of that name to use.

    Raises
    ------
    RuntimeWarning
        If something in ``obj`` can't be stored (raised, not warned, as in PyPWA); the message has the path to it.
    FileNotFoundError
        If there is no such folder.
    ValueError
        If ``path`` names no file.
    """
    file = _file(path, intermediate)
    try:
        jaxpwa.cache.write(file, obj)
    except (TypeError, RecursionError) as error:
        msg = (
            f"{file} can't be written: {error} Keep the FitResult that jaxpwa.fit returns in place of an "
            "iminuit.Minuit, and pool.to_table() in place of a ParticlePool."
        )
        raise RuntimeWarning(msg) from None
