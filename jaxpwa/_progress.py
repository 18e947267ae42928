"""Progress of long work: silent for two seconds, then a bar on a terminal or in Jupyter, never in a pipe.

Of several processes of a run only the first shows it, and of a pool of processes none: the caller has a bar.
"""

import multiprocessing
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # Without ipywidgets tqdm warns at import and shows its text bar, which will do.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

from jaxpwa._processes import is_main

_PATIENCE = 2.0


def _in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this process."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def progress_bar(what: str, total: int | None, unit: str, show: bool | None = None) -> Iterator[Any]:
    """Yield a bar with an ``update(n)`` method.

    Parameters
    ----------
    what
        What is going on.
    total
        Steps in all, or None where nobody knows.
    unit
        What a step is.
    show
        None: after two seconds, where the output is a terminal or a notebook. False: never. True: after two
        seconds, into a pipe as well.
    """
    if not is_main() or multiprocessing.parent_process() is not None:
        show = False
    disable = not show if show is not None else (False if _in_notebook() else None)
    bar = tqdm(desc=what, total=total, unit=unit, unit_scale=True, delay=_PATIENCE, disable=disable, leave=False)
    with bar:
        yield bar
