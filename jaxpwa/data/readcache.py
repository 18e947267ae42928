"""Parsed files kept beside their source, so that the next reading skips the parse.

``set1.csv`` has its cache in ``set1.csv.cache``. A cache is used only for the very content it was made from: the
SHA-512 of the source (of the sums of its pieces) is its key. Where the file system says that the source has not been
touched since (size, inode, times of modification and of status change to the nanosecond, the last of which no program
can set), the sum is not taken again: it costs about what pandas needs to parse a csv. Whatever is wrong with a cache
only costs a parse.
"""

import hashlib
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgpack

from jaxpwa._files import replacing
from jaxpwa._settings import usable_cores
from jaxpwa.data.packing import pack, unpack

_MAGIC = b"jaxpwa cache 1\n"
# A file changed twice within the file system's clock tick looks untouched: too fresh a source is summed again.
_FRESH = 2.0
_PIECE = 1 << 23


def cache_path(path: Path) -> Path:
    """Return where a file's cache is."""
    return path.with_name(path.name + ".cache")


def _hash(path: Path) -> str:
    """Return the SHA-512 of the SHA-512 sums of the file's pieces, which all cores take together."""

    def piece(start: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return hashlib.sha512(file.read(_PIECE)).digest()

    starts = range(0, path.stat().st_size, _PIECE)
    if len(starts) == 1:
        sums = [piece(0)]
    else:
        with ThreadPoolExecutor(usable_cores()) as pool:
            sums = list(pool.map(piece, starts))
    return hashlib.sha512(b"".join(sums)).hexdigest()


def _signature(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_dev, status.st_mtime_ns, status.st_ctime_ns]


def load(path: Path, settings: str) -> tuple[bool, Any]:
    """Look for a cache of this file, read with these settings.

    Returns
    -------
    Whether there is one that holds, and the table.
    """
    try:
        content = cache_path(path).read_bytes()
        if not content.startswith(_MAGIC):
            return False, None
        size = int.from_bytes(content[len(_MAGIC) : len(_MAGIC) + 4], "big")
        start = len(_MAGIC) + 4 + size
        head = msgpack.unpackb(content[len(_MAGIC) + 4 : start])
        body = memoryview(content)[start:]
        if head["settings"] != settings or head["jaxpwa"] != version("jaxpwa") or head["size"] != len(body):
            return False, None
        if zlib.crc32(body) != head["crc"]:
            return False, None
        untouched = os.name == "posix" and head["signature"] == _signature(path)
        if not untouched and head["sha512"] != _hash(path):
            return False, None
        return True, unpack(body)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, msgpack.UnpackException):
        return False, None


def store(path: Path, settings: str, table: Any) -> bool:
    """Keep a parsed table; say whether that worked (a folder may be read-only, a table hold what can't be stored)."""
    try:
        before = _signature(path)
        body = pack(table)
        head = {
            "settings": settings,
            "jaxpwa": version("jaxpwa"),
            "size": len(body),
            "crc": zlib.crc32(body),
            "sha512": _hash(path),
            "signature": before if time.time() - before[4] / 1e9 > _FRESH else None,
        }
        if _signature(path) != before:
            return False
        packed = bytes(msgpack.packb(head) or b"")
        with replacing(cache_path(path), by_all=True) as temporary:
            temporary.write_bytes(_MAGIC + len(packed).to_bytes(4, "big") + packed + body)
    except (OSError, TypeError):
        return False
    return True
