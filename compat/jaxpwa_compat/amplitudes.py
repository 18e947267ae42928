"""The classes that PyPWA's users write their intensities in (PyPWA calls these amplitudes)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np


def style_of(amplitude: Any) -> tuple[bool, bool]:
    """Return whether an amplitude wants processes, and threads, by its flags.

    Raises
    ------
    RuntimeError
        If it wants both.
    """
    if getattr(amplitude, "DEBUG", False):
        return False, False
    processes, threads = bool(amplitude.USE_MP), bool(amplitude.USE_THREADS)
    if processes and threads:
        msg = "USE_MP and USE_THREADS can't both be true: set USE_MP = False on the class to use threads."
        raise RuntimeError(msg)
    return processes, threads


class NestedFunction(ABC):
    """Base of PyPWA-style intensities: `setup` takes the data once, `calculate` the parameters each time.

    Subclasses need not call this initialiser. Instances are callable.

    Attributes
    ----------
    USE_MP
        Split events over processes (default).
    USE_THREADS
        Split events over threads; needs ``USE_MP = False``.
    USE_TORCH
        `calculate` returns torch tensors.
    DEBUG
        Run in this process and thread; turns the first two off.
    THREAD
        Number of the part of the events that this copy works on.

    Raises
    ------
    RuntimeError
        If both ``USE_MP`` and ``USE_THREADS`` are true.
    """

    DEBUG = False
    USE_MP = True
    USE_TORCH = False
    USE_THREADS = False
    THREAD = 0

    def __init__(self) -> None:
        if self.DEBUG:
            self.USE_MP = False
            self.USE_THREADS = False
        style_of(self)

    def __call__(self, *args: Any) -> Any:
        """Forward to `calculate`."""
        return self.calculate(*args)

    @abstractmethod
    def setup(self, data: Any) -> None:
        """Receive this copy's part of the events, of the type that the user gave, and prepare what can be."""

    @abstractmethod
    def calculate(self, parameters: Any) -> np.ndarray:
        """Return one intensity per event, ``(events,)``, for what the caller passed: a dict, an array or None."""


class FunctionAmplitude(NestedFunction):
    """An intensity made of two functions.

    Parameters
    ----------
    setup
        Called without arguments when the data come.
    processing
        ``processing(data, parameters) -> (events,)``.
    """

    def __init__(self, setup: Callable[[], Any], processing: Callable[[Any, Any], Any]) -> None:
        self._setup = setup
        self._processing = processing
        self._data: Any = None

    def setup(self, data: Any) -> None:
        """Keep the data and call the user's setup."""
        self._data = data
        self._setup()

    def calculate(self, parameters: Any) -> Any:
        """Call the user's function with the data and the parameters."""
        return self._processing(self._data, parameters)
