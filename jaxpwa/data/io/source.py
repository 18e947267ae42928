"""Bytes of a file, compressed or not."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

_COMPRESSIONS: dict[str, tuple[bytes, Callable[..., Any]]] = {
    ".gz": (b"\x1f\x8b", gzip.open),
    ".bz2": (b"BZh", bz2.open),
    ".xz": (b"\xfd7zXZ\x00", lzma.open),
}

BROKEN = (EOFError, OSError, lzma.LZMAError, zlib.error)
"""What a damaged compressed file raises."""


def data_suffix(path: Path) -> tuple[str, str | None]:
    """Return the suffix that tells the format, and that of the compression: ``('.csv', '.gz')``."""
    suffixes = [s.lower() for s in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in _COMPRESSIONS else None
    return (suffixes[-1] if suffixes else ""), compression


def compression_of(head: bytes) -> str | None:
    """Return the suffix of the compression that the first bytes tell of."""
    return next((suffix for suffix, (magic, _) in _COMPRESSIONS.items() if head.startswith(magic)), None)


@contextmanager
def _naming_damage(path: Path, compression: str | None) -> Iterator[None]:
    """Name the file where its text is no UTF-8 or its compression is damaged."""
    try:
        yield
    except UnicodeDecodeError as error:
        msg = f"{path} is no text in UTF-8: {error}."
        raise ValueError(msg) from None
    except BROKEN as error:
        if compression is None:
            raise
        msg = f"{path}: damaged compressed data: {error}."
        raise ValueError(msg) from None


@contextmanager
def open_to_read(path: Path) -> Iterator[BinaryIO]:
    """Open a file and decompress it on the way, whatever its name says.

    Raises
    ------
    ValueError
        If the compressed data are damaged.
    """
    with path.open("rb") as file:
        compression = compression_of(file.read(8))
    opener = _COMPRESSIONS[compression][1] if compression else open
    with opener(path, "rb") as stream, _naming_damage(path, compression):
        yield stream


@contextmanager
def for_pandas(path: Path) -> Iterator[dict[str, Any]]:
    """Give pandas the path itself and the compression: it reads a path twice as fast as an open file.

    Raises
    ------
    ValueError
        If the content is no text in UTF-8, or its compression is damaged.
    """
    with path.open("rb") as file:
        suffix = compression_of(file.read(8))
    with _naming_damage(path, suffix):
        yield {"filepath_or_buffer": path, "compression": {".bz2": "bz2", ".gz": "gzip", ".xz": "xz"}.get(suffix or "")}


@contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """Open a file as UTF-8 text, a byte-order mark left out.

    Raises
    ------
    ValueError
        If it is no such text.
    """
    with open_to_read(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline=newline)
        try:
            yield text
        finally:
            # The stream is closed by its own owner.
            text.detach()


@contextmanager
def open_to_write(path: Path, compression: str | None) -> Iterator[BinaryIO]:
    """Open a file to write, compressing where wanted."""
    # uproot reads back what it has written.
    with _COMPRESSIONS[compression][1](path, "wb") if compression else path.open("w+b") as stream:
        yield stream


def head_of(path: Path, n_bytes: int) -> bytes:
    """Return the first bytes, decompressed."""
    with open_to_read(path) as stream:
        return stream.read(n_bytes)


@contextmanager
def frames(parsed: Any, is_whole: bool) -> Iterator[Any]:
    """Yield the frames of a parsed file, one or many, and close it at the end whatever happens."""
    if is_whole:
        yield [parsed]
        return
    with parsed:
        yield parsed
