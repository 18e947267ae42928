"""The user's class as it is, run on a sample: what a port is compared with."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jaxpwa_compat.habits import NUMPY_NAMES, SPECIAL_NAMES
from jaxpwa_compat.parts import is_tensor
from jaxpwa_compat.porting import tensors
from jaxpwa_compat.porting.samples import as_dataset
from jaxpwa_compat.porting.trace import PortingError, refusal_of
from jaxpwa_compat.porting.values import host_tensor

_NO_ATTRIBUTE = re.compile(r"module '(numpy|scipy\.special)' has no attribute '(\w+)'")
N_CHECKED = 2000
"""Events that are compared, at most."""


class WholeNeeded(Exception):
    """The class looks at its parameters as a whole, or by number."""


class Names(dict):
    """Parameters without known names: every name that is read gets a value of its own.

    Parameters
    ----------
    rng
        Draws the values, uniform between 0.5 and 1.5.
    """

    def __init__(self, rng: np.random.Generator):
        super().__init__()
        self._rng = rng
        self.is_by_number = False

    def __missing__(self, name: Any) -> float:
        if not isinstance(name, str):
            self.is_by_number = True
            raise WholeNeeded
        self[name] = float(self._rng.uniform(0.5, 1.5))
        return self[name]

    def _whole(self, *_: Any) -> Any:
        raise WholeNeeded

    __iter__ = __len__ = __contains__ = get = keys = items = values = copy = _whole  # type: ignore[assignment]

    def found(self) -> dict[str, float]:
        """Return what has been read."""
        return dict(zip(dict.keys(self), dict.values(self), strict=True))


class Original:
    """A copy of the user's amplitude with its data.

    Parameters
    ----------
    amplitude
        The user's object; it is not touched.
    sample
        Of the user's own kind.
    is_array
        Whether `calculate` takes an array of parameters.
    """

    def __init__(self, amplitude: Any, sample: Any, *, is_array: bool = False):
        self.is_array = is_array
        self.name = type(amplitude).__name__
        self._n_events = len(as_dataset(sample))
        with _quietly():
            self._amplitude = copy.deepcopy(amplitude)
            self._amplitude.setup(copy.deepcopy(sample))

    def __call__(self, parameters: Any) -> np.ndarray:
        """Return the intensities at one point, by the user's code and types alone.

        Raises
        ------
        PortingError
            If they are not one number per event.
        """
        given: Any = parameters
        if self.is_array:
            given = np.array(list(parameters.values()))
        elif not isinstance(parameters, Names):
            given = dict(parameters)
        with _quietly():
            values = self._amplitude.calculate(given)
            values = host_tensor(values) if is_tensor(values) else np.asarray(values)
        if values.shape != (self._n_events,) or values.dtype.kind not in "fiuc":
            msg = (
                f"{self.name}.calculate returns {values.dtype} of shape {values.shape} for {self._n_events} events. "
                "One number per event is needed: return an array of shape (events,)."
            )
            raise PortingError(msg)
        return values


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence numpy, send torch to the CPU where there is no CUDA device, and say what to write for what is gone."""
    with np.errstate(all="ignore"), tensors.on_this_machine():
        try:
            yield
        except AttributeError as error:
            found = _NO_ATTRIBUTE.search(str(error))
            module, name = found.groups() if found else ("", "")
            instead = (NUMPY_NAMES if module == "numpy" else SPECIAL_NAMES).get(name)
            if instead is None:
                raise
            raise refusal_of(error, f"{module}.{name} does not exist any more", f"Write {instead}.") from error
