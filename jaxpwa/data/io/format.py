"""What a file format must say of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxpwa._checks import known


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name
        For messages.
    suffixes
        Lower-case, with the dot.
    magic
        The bytes that every file of this format starts with, or None for text.
    read
        ``read(path, columns)``; columns None: all.
    write
        ``write(path, table)``.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes | None
    read: Callable[[Path, list[str] | None], Any]
    write: Callable[[Path, Any], None]


def check_columns(path: Path, have: Sequence[str], wanted: Sequence[str] | None) -> None:
    """Refuse names that occur twice in the file and wanted names that it lacks."""
    twice = sorted({n for n in have if list(have).count(n) > 1})
    if twice:
        msg = f"{path}: column names must be different, {known(twice)} occur more than once."
        raise ValueError(msg)
    missing = [n for n in wanted or () if n not in have]
    if missing:
        msg = f"{path}: no column {known(missing)}; the file has: {known(have)}."
        raise ValueError(msg)
