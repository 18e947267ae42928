"""Writing a file as a whole or not at all, by one process of a run."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxpwa._processes import is_main


@contextmanager
def replacing(path: Path, *, by_all: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` that takes its place when the block ends without an error.

    Where ``path`` is a link, beside the file that it leads to, in whose place the new one comes; in place of a cache,
    where others might have put it, the link itself is replaced.

    Of several processes of a run (`jaxpwa.distributed`) only the first writes: the others get a temporary file that
    is thrown away. They may go on before the file is there, and on another machine it may never be.

    Parameters
    ----------
    path
        The file.
    by_all
        Every process writes: for caches, of which each may need its own and any copy will do.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    OSError
        If ``path`` is there and is no file: a folder, a device, a pipe.
    """
    if not by_all and not is_main():
        with tempfile.TemporaryDirectory() as nowhere:
            yield Path(nowhere, path.name)
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() and not by_all else path
    folder = path.parent
    if not folder.is_dir():
        msg = f"no such folder: {folder}"
        raise FileNotFoundError(msg)
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe"
        kind = IsADirectoryError if path.is_dir() else OSError
        msg = f"{path} is {what}: give the name of a file."
        raise kind(msg)
    # Not by tempfile, whose files are private: to ask for the mask that open() applies is to change it for all threads.
    name = folder / f".{path.name}.{secrets.token_hex(8)}.part"
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield name
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
