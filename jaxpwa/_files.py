"""Writing a file as a whole or not at all, by one process of a run."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxpwa._processes import is_main


@contextmanager
def replacing(path: Path, *, by_all: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` that takes its place when the block ends without an error.

    Of several processes of a run (`jaxpwa.distributed`) only the first writes: the others get a temporary file that
    is thrown away. They may go on before the file is there, and on another machine it may never be.

    Parameters
    ----------
    path
        The file.
    by_all
        Every process writes: for caches, of which each may need its own and any copy will do.
    """
    if not by_all and not is_main():
        with tempfile.TemporaryDirectory() as nowhere:
            yield Path(nowhere, path.name)
        return
    folder = path.parent
    if not folder.is_dir():
        msg = f"no such folder: {folder}"
        raise FileNotFoundError(msg)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp makes files private; a new file gets the mode that open() would give.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
